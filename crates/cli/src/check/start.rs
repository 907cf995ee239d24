//! From the options to the doctor: the URL, the redirects, the proxy.

use std::time::Duration;

use http::{HeaderMap, Uri};
use tokio::time::Instant;
use towline::{Client, Config, ErrorKind, HttpVersion, Target, Tls};

use crate::check::doctor::{Asked, Doctor, Habit, MOST_CONNECTIONS};
use crate::check::finding::Finding;
use crate::check::options::Options;
use crate::check::report::{Report, View};
use crate::check::way::{Hop, Way};
use crate::exit::{Exit, Failure};
use crate::network::Opening;
use crate::secrets;

/// The most connections with `--gentle`.
const FEW_CONNECTIONS: usize = 30;

const PAUSE: Duration = Duration::from_millis(50);
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Prepares the checks. What the options say is checked here.
pub(crate) async fn doctor(options: &Options, tls: Option<Tls>) -> Result<Doctor, Failure> {
    let mut report = Report::new(View::new(options.json));
    let without_fragment = options.url.split('#').next().unwrap_or_default();
    let mut asked = Asked {
        uri: without_fragment.parse().unwrap_or_default(),
        origin: options.handshake.origin.clone(),
        protocols: options.handshake.protocol.clone(),
        headers: options.handshake.headers()?,
    };
    let mut client = client(options, tls.clone(), &asked)?;
    let mut opened = 0;
    let Some(mut target) = Target::from_uri(&asked.uri) else {
        return Err(invalid_url(&client, options));
    };
    if options.network.follow_redirects > 0 {
        opened += 1;
        if let Some(end) = followed(client.clone(), without_fragment).await?
            && end.target != target
        {
            report.add(
                Finding::note("redirect", format!("redirected to {}; that is what is checked", secrets::target(&end.target)))
                    .advice("browsers and most clients follow no redirect of a handshake: give them this URL"),
            );
            // The library leaves out those that are for the server which the user named.
            asked.headers.retain(|(name, _)| end.sent.contains_key(name));
            (asked.uri, target) = (end.uri, end.target);
            client = self::client(options, tls.clone(), &asked)?;
        }
    }
    let way = Way {
        proxy: client.proxy_for(asked.uri.to_string())?.and_then(Hop::of),
        client: client.follow_redirects(0),
        target,
        tls: tls.unwrap_or_default(),
        addresses: Vec::new(),
        step: options.step_timeout,
    };
    let (pause, most) = match options.gentle {
        true => (LONG_PAUSE, FEW_CONNECTIONS),
        false => (PAUSE, MOST_CONNECTIONS),
    };
    let now = Instant::now();
    Ok(Doctor {
        way,
        asked,
        report,
        habit: Habit::Unknown,
        message: options.message.clone(),
        pause,
        deadline: now + options.timeout,
        opened,
        most,
        next: now,
        is_late: false,
        oddities: Vec::new(),
        ends_each: None,
    })
}

/// The library's client, which asks for the same.
fn client(options: &Options, tls: Option<Tls>, asked: &Asked) -> Result<Client, Failure> {
    let opening = Opening {
        protocols: asked.protocols.iter().map(String::as_str).collect(),
        origin: asked.origin.as_deref(),
        headers: asked.headers.clone(),
        http_version: HttpVersion::default(),
        timeout: options.step_timeout,
    };
    options.network.client(tls, Config::client(), opening)
}

/// Where redirects have led.
struct End {
    uri: Uri,
    target: Target,
    /// The headers that were sent there.
    sent: HeaderMap,
}

/// Follows redirects, as the library does. An error about what the user wrote, or about the proxy, ends
/// the command; the checks find the others again.
async fn followed(client: Client, url: &str) -> Result<Option<End>, Failure> {
    match client.keep_request(true).connect(url).await {
        Ok(connection) => Ok(connection.url().and_then(|uri| {
            let sent = connection.request()?.headers().clone();
            Some(End { uri: uri.clone(), target: Target::from_uri(uri)?, sent })
        })),
        Err(error) => match error.kind() {
            ErrorKind::ProxyFailed
            | ErrorKind::ProxyRefused
            | ErrorKind::InvalidProxy
            | ErrorKind::InvalidUrl => Err(error.into()),
            _ => Ok(None),
        },
    }
}

/// The library says what is wrong with a URL.
fn invalid_url(client: &Client, options: &Options) -> Failure {
    match client.proxy_for(&options.url) {
        Err(error) => error.into(),
        Ok(_) => Failure::new(
            Exit::Usage,
            "the URL has characters that check does not convert: write it as ASCII, with %XX and xn--",
        ),
    }
}
