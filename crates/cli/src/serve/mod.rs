//! `towline serve`: a server that echoes, or does something else with messages, with a console for the
//! browser.

mod pages;

mod tls;

mod listening;

mod metrics;

mod tally;

mod relay;

mod help;

mod backend;

mod orders;

mod token;

mod handling;

mod hosts;

mod options;

mod journal;

mod percent;

mod live;

mod warnings;

mod modes;

mod board;

mod files;

mod visitor;

mod assets;

mod console;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::StatusCode;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use towline::{CloseCode, Server, ServerBuilder, TlsServer};
use towline_hyper::{HttpServer, mount};

pub(crate) use options::Options;

use crate::descriptors;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::quantity::counted;
use crate::say;
use crate::serve::board::Board;
use crate::serve::console::Console;
use crate::serve::files::Files;
use crate::serve::handling::Access;
use crate::serve::live::Live;
use crate::serve::metrics::Metrics;
use crate::serve::modes::Service;
use crate::serve::tls::Identity;
use crate::serve::token::Token;
use crate::serve::visitor::Visitors;

/// Connections end within the close timeout; this is extra time for those that don't.
const MARGIN: Duration = Duration::from_secs(1);

/// Serves until the user asks to end.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    say::without_waiting()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't start a thread: {error}")))?;
    let live = Live::new(options.handling.console != Access::Off);
    warnings::show(live.clone());
    let mut again = interrupts.clone();
    tokio::select! {
        served = serve(options, live, &mut interrupts) => served,
        () = again.second() => Ok(Exit::Interrupted),
    }
}

async fn serve(options: Options, live: Live, interrupts: &mut Interrupts) -> Result<Exit, Failure> {
    options.check()?;
    if !options.handling.runs_commands() {
        descriptors::allow_all();
    }
    let builder = options.server()?;
    let token = Arc::new(options.handling.token()?);
    // Files can be pipes, and must not delay an interrupt.
    let reading = tokio::task::spawn_blocking(move || {
        let identity = options.tls.identity(&options.listen);
        (options, identity)
    });
    let (options, identity) = reading.await.map_err(|error| unclean_end(&error))?;
    let identity = identity?;
    let handling = &options.handling;
    let files = handling.files.as_deref().map(Files::of).transpose()?;
    let hosts = Arc::new(options.hosts());
    let (protocols, verbose) = (&options.protocol, options.verbose);
    let service = Service::new(handling, protocols, hosts.clone(), verbose, live.clone()).await?;
    let _abandon = Abandon(service.clone());
    let builder = service.install(builder);
    let board = Board::new(service.clone());
    let visitors = Visitors { access: handling.console, token, hosts };
    let console = Console { board, live, visitors, files };
    let threads = options.threads.map(NonZeroUsize::get);
    let (addresses, sockets) = listening::bind(&options.listen, threads, "--listen").await?;
    // Set up before anybody can know of the process.
    tls::reload_on_hangup(identity.as_ref(), options.verbose)?;
    let serving = match &options.metrics {
        Some(address) => Some(Metrics::serve(address, &addresses).await?),
        None => None,
    };
    // Scripts wait for these lines, so everything listens by now.
    announce(&addresses, identity.as_ref(), console.files.is_some(), &console.visitors.token);
    if let Some(serving) = &serving {
        serving.announce();
    }
    // Nobody knows where it listens. The end of the program says why.
    if say::trouble().is_some() {
        return Ok(Exit::Unclean);
    }

    let (tell, mut told) = mpsc::unbounded_channel();
    let tls = identity.map(|identity| identity.server);
    let metrics = serving.as_ref().map(|serving| serving.metrics.clone());
    let options = Arc::new(options);
    if let (Some(metrics), Some(topics)) = (&metrics, service.topics()) {
        metrics.observe_topics(topics.clone());
    }
    let worker = Worker { options, builder, tls, service: service.clone(), console, metrics, tell };
    let mut workers = JoinSet::new();
    for sockets in sockets {
        let serving = worker.clone().serve(sockets, interrupts.clone());
        match threads {
            None => drop(workers.spawn(serving)),
            Some(_) => drop(workers.spawn(on_a_thread(serving)?)),
        }
    }
    drop(worker);

    // Each worker says how many connections it has, and then closes them.
    let mut open = 0;
    for _ in 0..workers.len() {
        open += told.recv().await.unwrap_or(0);
    }
    if open > 0 {
        let connections = counted(open, "connection");
        say::note(format_args!("closing {connections}; press Ctrl-C again to end at once"));
    }
    let mut ended = Ended::default();
    while let Some(worker) = workers.join_next().await {
        let Ended { closed, unclean } =
            worker.map_err(|error| unclean_end(&error)).and_then(|ended| ended)?;
        ended.closed += closed;
        ended.unclean += unclean;
    }
    // Both streams may be one file, in which the lines have their order.
    say::flush();
    say::out(format_args!("shut down: {}; {}", ended.in_words(), service.summary()));
    Ok(Exit::Success)
}

fn unclean_end(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Unclean, error.to_string())
}

/// Runs a worker on a new thread with its own runtime. Returns a future that waits for it.
fn on_a_thread(
    serving: impl Future<Output = Result<Ended, Failure>> + Send + 'static,
) -> Result<impl Future<Output = Result<Ended, Failure>>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unclean_end(&error))?;
    let (done, ended) = oneshot::channel();
    thread::Builder::new()
        .name("towline-serve".into())
        .spawn(move || {
            // After a second interrupt nobody waits.
            let _ = done.send(runtime.block_on(serving));
            runtime.shutdown_background();
        })
        .map_err(|error| unclean_end(&error))?;
    Ok(async { ended.await.unwrap_or_else(|error| Err(unclean_end(&error))) })
}

/// Ends what would outlive the program, when it ends without waiting for its connections.
struct Abandon(Service);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A server with its own listening sockets. There is one, or one on each thread.
#[derive(Clone)]
struct Worker {
    options: Arc<Options>,
    builder: ServerBuilder,
    tls: Option<TlsServer>,
    service: Service,
    console: Console,
    metrics: Option<Metrics>,
    /// Sends how many connections are open once no more are accepted.
    tell: mpsc::UnboundedSender<u64>,
}

/// The result of a worker.
#[derive(Debug, Default)]
struct Ended {
    closed: u64,
    /// How many of them were not closed cleanly.
    unclean: u64,
}

impl Ended {
    fn in_words(&self) -> String {
        // A connection that was lost just before the shutdown is not among those that it closed.
        let closed = counted(self.closed.max(self.unclean), "connection");
        match self.unclean {
            0 => format!("{closed} closed"),
            unclean => format!("{closed} closed, {unclean} of them not cleanly"),
        }
    }
}

impl Worker {
    async fn serve(
        self,
        sockets: Vec<std::net::TcpListener>,
        mut interrupts: Interrupts,
    ) -> Result<Ended, Failure> {
        let options = self.options;
        let mut server = self.builder.build();
        self.console.live.observe(server.handle());
        let console = self.console;
        let page = move |request| {
            let console = console.clone();
            async move { Ok::<_, Infallible>(console.answer(&request).await) }
        };
        let mut http = HttpServer::new(mount(server.handle(), service_fn(page)))
            .header_timeout(options.handshake_timeout)
            .nodelay(!options.nagle)
            .max_handshakes_per_address(options.limits.handshakes_per_address())
            .report_to(server.handle());
        if let Some(tls) = self.tls {
            http = http.tls(tls);
        }
        for socket in sockets {
            http.listen(TcpListener::from_std(socket).map_err(|error| unclean_end(&error))?);
        }
        if let Some(metrics) = self.metrics {
            metrics.observe(server.handle());
        }
        if options.verbose > 0 {
            tokio::spawn(journal::refusals(server.events()));
        }
        let mut visits = JoinSet::new();
        accept(&mut server, &mut interrupts, &self.service, &mut visits).await;

        // Discards the results of connections that have ended.
        while visits.try_join_next().is_some() {}
        let deadline = options.close_timeout.saturating_add(MARGIN);
        // After a second interrupt nobody receives it.
        let _ = self.tell.send(server.connections().len() as u64);
        let handle = server.handle();
        let (_, shutdown, ()) = tokio::join!(
            http.shutdown(deadline),
            handle.shutdown(CloseCode::GOING_AWAY, deadline),
            turn_away(&mut server),
        );
        let mut ended = Ended { closed: shutdown?.connections as u64, unclean: 0 };
        while let Some(visited) = visits.join_next().await {
            ended.unclean += u64::from(!visited.unwrap_or(false));
        }
        Ok(ended)
    }
}

/// Serves every request until the user asks to end.
async fn accept(
    server: &mut Server,
    interrupts: &mut Interrupts,
    service: &Service,
    visits: &mut JoinSet<bool>,
) {
    loop {
        tokio::select! {
            request = server.next_request() => match request {
                Some(request) => drop(visits.spawn(service.clone().serve(request))),
                None => return,
            },
            Some(_) = visits.join_next() => {}
            () = interrupts.first() => return,
        }
    }
}

/// Rejects the requests that have arrived and were not handled.
async fn turn_away(server: &mut Server) {
    while let Some(request) = server.next_request().await {
        // If the client is gone, the response is dropped.
        let _ =
            request.reject(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down").await;
    }
}

/// Prints where the server is. Scripts wait for these lines.
fn announce(addresses: &[SocketAddr], identity: Option<&Identity>, has_files: bool, token: &Token) {
    for address in addresses {
        say::out(format_args!("listening on {address}"));
    }
    let Some(first) = addresses.first().copied().map(reachable) else { return };
    let scheme = if identity.is_some() { "https" } else { "http" };
    let fragment = token.fragment();
    match has_files {
        false => say::out(format_args!("open {scheme}://{first}/{fragment} in a browser")),
        true => {
            say::out(format_args!("open {scheme}://{first}/ in a browser"));
            say::out(format_args!("console on {scheme}://{first}/console{fragment}"));
        }
    }
    if let Some(identity) = identity {
        identity.announce(first);
    }
}

/// The address for a browser on this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_unclean_than_closed() {
        let words = |closed, unclean| Ended { closed, unclean }.in_words();
        assert_eq!(words(2, 0), "2 connections closed");
        assert_eq!(words(2, 1), "2 connections closed, 1 of them not cleanly");
        assert_eq!(words(0, 1), "1 connection closed, 1 of them not cleanly");
    }

    #[test]
    fn the_address_to_open_is_never_the_unspecified_one() {
        let reachable = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reachable("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80"), "[::1]:80");
        assert_eq!(reachable("192.0.2.1:80"), "192.0.2.1:80");
    }
}
