//! No user and no password in what a program is shown: errors, `Debug`, logs.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::loopback::{Loopback, behind, direct, nobody, texts};

/// Keeps all that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}: {value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

const SECRETS: [&str; 4] = ["s3cret", "deckhand", "ZGVja2hhbmQ6", "s3cr"];

fn has_none(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn no_error_shows_the_user_in_a_url() {
    let nobody = nobody().await;
    for url in [
        format!("ws://deckhand:s3cret@{nobody}/"),
        format!("http://deckhand:s3cret@{nobody}/"),
        "wss://deckhand:s3cret@h/".to_owned(),
        "ftp://deckhand:s3cret@h/".to_owned(),
        "ws://deckhand:s3cret@/".to_owned(),
        "ws://deckhand:s3cret@h:99999/".to_owned(),
        "ws://deckhand:s3cret@h:80:80/".to_owned(),
        "ws://deckhand:s3cret@[::1/".to_owned(),
        "ws://deckhand:s3cret@h/ with spaces".to_owned(),
        "ws://deckhand:s3cr et@h/".to_owned(),
        "ws://deckhand:s3cret@s3cret@h h/".to_owned(),
        "ws://deckhand:s3cret/s3cret?s3cret#s3cret@h".to_owned(),
        "deckhand:s3cret@h".to_owned(),
        "deckhand:s3cret@h/a b".to_owned(),
        "//deckhand:s3cret@h/".to_owned(),
        "ws:deckhand:s3cret@h/".to_owned(),
        "ws:/deckhand:s3cret@h/".to_owned(),
        "ws:///deckhand:s3cret@h/".to_owned(),
        "ws//deckhand:s3cret@h/".to_owned(),
        "\tws://deckhand:s3cret@h/\r\n".to_owned(),
        "ws:\\\\deckhand:s3cret@h\\".to_owned(),
        "ws:/\n/deckhand:s3\tcret@h/".to_owned(),
        "ws://deckhand:s3cret@h:70000/".to_owned(),
        "ws://deckhand:s3cret@h:eighty/".to_owned(),
        "ws://deckhand:s3cret@:80/".to_owned(),
        "ws://deckhand:s3cret@[fe80::1%25eth0]/".to_owned(),
        "ws://deckhand:s3cret@300.1.2.3/".to_owned(),
        "ws://deckhand:s3cret@%ff/".to_owned(),
        "ws://deckhand:s3cret@a<b/".to_owned(),
        "ws://deckhand:s3cret@b\u{fc} cher/".to_owned(),
        format!("ws://deckhand:s3cret@h/{}", "x".repeat(70_000)),
        format!("ws://deckhand:{}@h:x/", "s3cret".repeat(20_000)),
        // Slashes that a password can't have, so that the host is another one.
        "ws://deckhand s3cret/@h/".to_owned(),
        "ws://deckhand:70000s3cret/@h/".to_owned(),
        "ws://[s3cret/@h/".to_owned(),
        "ws://s3cret.300.1.2.3/@h/".to_owned(),
        "ws://%s3cret/@h/".to_owned(),
        "htp://deckhand:s3cret@h/".to_owned(),
        "\u{430}://deckhand:s3cret@h/".to_owned(),
    ] {
        let error = direct().connect(&url).await.unwrap_err();
        has_none(&texts(&error));
        assert!(!error.to_string().contains(['\n', '\r']), "{error}");
        let (near, far) = tokio::io::duplex(10);
        drop(far);
        has_none(&texts(&direct().connect_over(near, &url).await.unwrap_err()));
        let (near, far) = tokio::io::duplex(10);
        drop(far);
        has_none(&texts(&direct().connect_via(near, &url).await.unwrap_err()));
        if let Ok(request) = http::Request::get(&url).body(()) {
            has_none(&texts(&direct().connect_request(request).await.unwrap_err()));
        }
    }
}

#[tokio::test]
async fn nothing_is_shown_of_a_user_that_is_on_its_way() {
    let log = Log::default();
    let guard = towline_kit::subscribe(log.clone());
    let server =
        Loopback::new(|_| b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let url = format!("ws://deckhand:s3cret@{}/", server.address);
    has_none(&texts(&direct().connect(&url).await.unwrap_err()));
    let proxy = format!("http://deckhand:s3cret@{}", server.address);
    has_none(&texts(&behind(&proxy).connect(&url).await.unwrap_err()));

    let server = Loopback::accepting().await;
    let url = format!("ws://deckhand:s3cret@{}/", server.address);
    let client = direct().header("cookie", "s3cret").follow_redirects(1);
    let connection = client.connect(&url).await.unwrap();
    has_none(&format!("{client:?} {connection:?} {:?} {:?}", connection.url(), connection.info()));
    assert!(server.said()[0].contains("Basic ZGVja2hhbmQ6czNjcmV0"));
    tracing::debug!("the log is one");
    drop(guard);
    let log = log.0.lock().unwrap();
    assert!(log.contains("the log is one"));
    has_none(&log);
}
