//! `towline serve`: an echo server with a console for the browser.

mod options;

mod tally;

mod echo;

mod console;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use towline::{CloseCode, Events, Server, ServerEvent};
use towline_hyper::{HttpServer, mount};

pub(crate) use options::Options;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::say;
use crate::serve::echo::Echo;
use crate::serve::tally::{Tally, count};

/// Connections end by themselves within the close timeout; this is for those that don't.
const MARGIN: Duration = Duration::from_secs(1);

/// Serves until the user asks for the end.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("no signals: {error}")))?;
    let mut again = interrupts.clone();
    tokio::select! {
        served = serve(options, &mut interrupts) => served,
        () = again.second() => Ok(Exit::Interrupted),
    }
}

async fn serve(options: Options, interrupts: &mut Interrupts) -> Result<Exit, Failure> {
    let mut server = options.server()?.build();
    let page = |request| async move { Ok::<_, Infallible>(console::answer(&request)) };
    let http = HttpServer::new(mount(&server, service_fn(page)))
        .header_timeout(options.handshake_timeout)
        .disable_nagle_algorithm(!options.nagle);
    let mut addresses = Vec::new();
    for address in &options.listen {
        let listener = listen(address).await?;
        addresses.push(listener.local_addr().map_err(|error| unable(address, &error))?);
        http.listen(listener);
    }
    announce(&addresses);
    if options.verbose > 0 {
        tokio::spawn(report_rejections(server.events()));
    }

    let echo = Arc::new(Echo {
        protocols: options.protocol,
        verbose: options.verbose,
        tally: Tally::default(),
    });
    let mut echoes = JoinSet::new();
    accept(&mut server, interrupts, &echo, &mut echoes).await;

    // Of those that ended before there is nothing to say.
    while echoes.try_join_next().is_some() {}
    let deadline = options.close_timeout.saturating_add(MARGIN);
    let open = server.connections().len();
    if open > 0 {
        let connections = count(open as u64, "connection");
        say::note(format_args!("closing {connections}; Ctrl-C again ends at once"));
    }
    let handle = server.handle();
    let (_, shutdown, ()) = tokio::join!(
        http.shutdown(deadline),
        handle.shutdown(CloseCode::GOING_AWAY, deadline),
        turn_away(&mut server),
    );
    let shutdown = shutdown?;
    let mut unclean = 0;
    while let Some(echoed) = echoes.join_next().await {
        unclean += u64::from(!echoed.unwrap_or(false));
    }
    let closed = count(shutdown.connections as u64, "connection");
    let silent = match unclean {
        0 => String::new(),
        unclean => format!(", {unclean} of them without an answer"),
    };
    say::out(format_args!("shut down: {closed} closed{silent}; {}", echo.tally));
    Ok(Exit::Success)
}

/// Has every request echoed, until the user asks for the end.
async fn accept(
    server: &mut Server,
    interrupts: &mut Interrupts,
    echo: &Arc<Echo>,
    echoes: &mut JoinSet<bool>,
) {
    loop {
        tokio::select! {
            request = server.next_request() => match request {
                Some(request) => drop(echoes.spawn(echo.clone().serve(request))),
                None => return,
            },
            Some(_) = echoes.join_next() => {}
            () = interrupts.first() => return,
        }
    }
}

/// Answers the requests that have come and not been looked at.
async fn turn_away(server: &mut Server) {
    while let Some(request) = server.next_request().await {
        // A client that does not wait for the answer does not want it.
        let _ = request.reject(StatusCode::SERVICE_UNAVAILABLE, "the server shuts down").await;
    }
}

async fn listen(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| unable(address, &error))
}

fn unable(address: &str, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another program listens there: choose another port with --listen, or 0 for any"
        }
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 may need privileges",
        _ => "",
    };
    Failure::new(Exit::NoConnection, format!("can't listen on {address}: {error}{hint}"))
}

/// Says where the server is. Scripts wait for these lines.
fn announce(addresses: &[SocketAddr]) {
    for address in addresses {
        say::out(format_args!("listening on {address}"));
    }
    if let Some(first) = addresses.first() {
        say::out(format_args!("open http://{}/ in a browser", reachable(*first)));
    }
}

/// An address that a browser on this machine can open.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn report_rejections(mut events: Events) {
    while let Some(event) = events.next().await {
        if let ServerEvent::Rejected { status, reason, peer_address, .. } = event {
            let peer = peer_address.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string());
            say::note(format_args!("{peer} refused with {status}: {reason}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_open_is_never_the_unspecified_one() {
        let reachable = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reachable("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80"), "[::1]:80");
        assert_eq!(reachable("192.0.2.1:80"), "192.0.2.1:80");
    }
}
