//! What a subscriber of `tracing` and the program see of a handshake, over each version of HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use towline::{Accept, Client, CloseCode, HttpVersion, Proxy, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::{Front, serve, soon};

type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of the handshakes' spans.
#[derive(Clone, Default)]
struct Collector(Arc<Spans>);

#[derive(Default)]
struct Spans {
    count: AtomicU64,
    handshakes: Mutex<BTreeMap<u64, Fields>>,
}

struct Recorder<'f>(&'f mut Fields);

impl Visit for Recorder<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "towline::handshake"
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let id = self.0.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::new();
        attributes.record(&mut Recorder(&mut fields));
        self.0.handshakes.lock().unwrap().insert(id, fields);
        span::Id::from_u64(id)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let mut handshakes = self.0.handshakes.lock().unwrap();
        values.record(&mut Recorder(handshakes.get_mut(&id.into_u64()).unwrap()));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Collector {
    /// The fields of the handshakes in this role so far, and forgets all.
    fn take(&self, role: &str) -> Vec<Fields> {
        let handshakes = std::mem::take(&mut *self.0.handshakes.lock().unwrap());
        handshakes.into_values().filter(|fields| fields["role"] == role).collect()
    }
}

#[tokio::test]
async fn a_handshake_has_the_same_fields_over_each_version_of_http() {
    let collector = Collector::default();
    let _guard = towline_kit::subscribe(collector.clone());
    for role in ["server", "client"] {
        for (version, accepted) in [(HttpVersion::Http1, "101"), (HttpVersion::Http2, "200")] {
            let mut server = Server::builder().build();
            let address = serve(&server, Front::HttpServer).await;
            let client = Client::new().proxy(Proxy::none()).http_version(version);
            let client = client.protocols(["chat.v2"]);
            let url = format!("ws://{address}/chat?room=7");

            let connecting = tokio::spawn(client.connect(&url));
            let request = soon(server.next_request()).await.unwrap();
            soon(request.accept_with(Accept::new().protocol("chat.v2"))).await.unwrap();
            soon(connecting).await.unwrap().unwrap();
            let fields = collector.take(role).pop().unwrap();
            let names: Vec<_> = fields.keys().copied().collect();
            assert_eq!(
                names,
                ["host", "path", "peer", "protocol", "role", "status"],
                "{version:?}"
            );
            assert_eq!((&*fields["host"], &*fields["path"]), (&*address.to_string(), "/chat"));
            assert_eq!((&*fields["protocol"], &*fields["status"]), ("chat.v2", accepted));
            assert!(fields["peer"].starts_with("127.0.0.1:"), "{fields:?}");

            let connecting = tokio::spawn(client.connect(&url));
            let request = soon(server.next_request()).await.unwrap();
            soon(request.reject(StatusCode::NOT_FOUND, "no such room")).await.unwrap();
            soon(connecting).await.unwrap().unwrap_err();
            let fields = collector.take(role).pop().unwrap();
            let names: Vec<_> = fields.keys().copied().collect();
            assert_eq!(names, ["host", "path", "peer", "role", "status"], "{version:?}");
            assert_eq!(fields["status"], "404");
        }
    }
}

#[tokio::test]
async fn a_connection_has_the_version_of_http_at_both_ends() {
    for (version, expected) in
        [(HttpVersion::Http1, http::Version::HTTP_11), (HttpVersion::Http2, http::Version::HTTP_2)]
    {
        let mut server = Server::builder().build();
        let address = serve(&server, Front::HttpServer).await;
        let client = Client::new().proxy(Proxy::none()).http_version(version);
        let connecting = tokio::spawn(client.connect(format!("ws://{address}/")));
        let mut at_server =
            soon(soon(server.next_request()).await.unwrap().accept()).await.unwrap();
        let at_client = soon(connecting).await.unwrap().unwrap();
        for connection in [&at_server, &at_client] {
            assert_eq!(connection.http_version(), Some(expected));
            assert_eq!(connection.info().http_version(), Some(expected));
        }
        drop(at_client);
        soon(at_server.close(CloseCode::NORMAL, "")).await.unwrap();
    }
}
