//! From the options to the doctor: the URL, the redirects, the proxy.

use std::time::Duration;

use tokio::time::Instant;
use towline::{Client, ErrorKind, Proxy, Target, Tls};

use crate::check::doctor::{Asked, Doctor, Habit, MOST_CONNECTIONS};
use crate::check::finding::Finding;
use crate::check::options::Options;
use crate::check::proxy::Proxied;
use crate::check::report::{Report, View};
use crate::check::way::Way;
use crate::connect::options::headers;
use crate::exit::{Exit, Failure};
use crate::network::shown;

/// The most connections with `--gentle`.
const FEW_CONNECTIONS: usize = 30;

const PAUSE: Duration = Duration::from_millis(50);
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Variables that can name a proxy.
const VARIABLES: [&str; 6] =
    ["wss_proxy", "ws_proxy", "socks_proxy", "all_proxy", "https_proxy", "http_proxy"];

/// Prepares the checks. What the options say is checked here.
pub(crate) async fn doctor(options: &Options) -> Result<Doctor, Failure> {
    let mut report = Report::new(View::new(options.json));
    let without_fragment = options.url.split('#').next().unwrap_or_default();
    let mut asked = Asked {
        uri: without_fragment.parse().unwrap_or_default(),
        origin: options.origin.clone(),
        protocols: options.protocol.clone(),
        headers: headers(&options.header)?,
    };
    let client = client(options, &asked)?;
    let mut opened = 0;
    let mut target = match Target::from_uri(&asked.uri) {
        Some(target) => target,
        None => return Err(invalid_url(&client, options).await),
    };
    let mut proxy_url = options.network.proxy.clone();
    let from_environment = proxy_url.is_none() && !options.network.no_proxy && names_a_proxy();
    if options.network.follow_redirects > 0 || from_environment {
        opened += 1;
        let connected = client.clone().keep_request(true).connect(without_fragment).await;
        let (hop, end, sent) = match &connected {
            Ok(connection) => (
                connection.proxy().map(ToOwned::to_owned),
                connection.url().cloned(),
                connection.request().map(|request| request.headers().clone()),
            ),
            Err(error) => (named_in(&error.to_string()), None, None),
        };
        if let Err(error) = connected
            && matches!(
                error.kind(),
                ErrorKind::ProxyFailed
                    | ErrorKind::ProxyRefused
                    | ErrorKind::InvalidProxy
                    | ErrorKind::InvalidUrl
            )
        {
            return Err(error.into());
        }
        if from_environment && let Some(hop) = hop {
            proxy_url = of_environment(&hop);
        }
        if let Some((uri, end)) = end.and_then(|uri| Some((uri.clone(), Target::from_uri(&uri)?)))
            && shown(&end) != shown(&target)
        {
            report.add(
                Finding::note("redirect", format!("redirected to {}; that is what is checked", shown(&end)))
                    .advice("browsers and most clients follow no redirect of a handshake: give them this URL"),
            );
            // The library leaves out those that are for the server which the user named.
            asked
                .headers
                .retain(|(name, _)| sent.as_ref().is_some_and(|sent| sent.contains_key(name)));
            (asked.uri, target) = (uri, end);
        }
    }
    let proxy = proxy_url.map(|url| {
        Proxied::parse(&url)
            .ok_or_else(|| Failure::new(Exit::Usage, "--proxy: check can't use such a proxy"))
    });
    let tls = options.network.tls()?.unwrap_or_else(Tls::new);
    let way = Way {
        target,
        tls,
        proxy: proxy.transpose()?,
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
    })
}

/// The library's client, which knows the rules of proxies and redirects.
fn client(options: &Options, asked: &Asked) -> Result<Client, Failure> {
    let mut client = Client::new()
        .connect_timeout(options.step_timeout)
        .protocols(asked.protocols.iter().cloned());
    if let Some(origin) = &asked.origin {
        client = client.origin(origin);
    }
    for (name, value) in &asked.headers {
        client = client.header(name.clone(), value.clone());
    }
    options.network.apply(client)
}

/// The library says what is wrong with a URL. It does not connect to one that is invalid.
async fn invalid_url(client: &Client, options: &Options) -> Failure {
    match client.clone().proxy(Proxy::none()).connect(&options.url).await {
        Err(error) => error.into(),
        Ok(_) => Failure::new(
            Exit::Usage,
            "the URL has characters that check does not convert: write it as ASCII, with %XX and xn--",
        ),
    }
}

/// The proxy that an error names: `… (through the proxy http://proxy:3128)`.
fn named_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("(through the proxy ")?;
    Some(rest.split_once(')')?.0.to_owned())
}

fn names_a_proxy() -> bool {
    values().next().is_some()
}

fn values() -> impl Iterator<Item = String> {
    VARIABLES
        .into_iter()
        .flat_map(|name| [name.to_owned(), name.to_ascii_uppercase()])
        .filter_map(|name| std::env::var(name).ok())
        .filter(|value| !value.is_empty())
}

/// The variable's value, which may have a password, for the proxy that the library used.
fn of_environment(hop: &str) -> Option<String> {
    let (_, place) = hop.split_once("://")?;
    values().find(|value| {
        Proxied::parse(value)
            .is_some_and(|proxy| proxy.to_string().ends_with(&format!("://{place}")))
    })
}
