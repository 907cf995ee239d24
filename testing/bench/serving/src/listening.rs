//! The listening sockets, the runtimes and the threads.

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::{Result, bail};
use clap::Parser;
use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

use crate::options::Options;
use crate::stream::Stream;
use crate::{probing, securing};

/// Serves a connection, over a TCP socket or TLS on it.
pub trait Serve: 'static {
    /// Serves the connection until it ends.
    fn serve<S: Stream>(
        stream: S,
        options: Arc<Options>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Runs a server that serves every connection in a separate task.
///
/// # Errors
///
/// If the mode is unknown, listening fails, or the certificate for TLS is missing.
pub fn run<S: Serve>(modes: &[&str]) -> Result<()> {
    let options = Arc::new(parse(modes)?);
    let acceptor = options.tls.as_deref().map(securing::acceptor).transpose()?;
    run_on(&options.clone(), move |listener| {
        serve_all::<S>(listener, options.clone(), acceptor.clone())
    })
}

async fn serve_all<S: Serve>(
    listener: TcpListener,
    options: Arc<Options>,
    acceptor: Option<TlsAcceptor>,
) -> Result<()> {
    loop {
        let stream = accept(&listener).await?;
        let verbose = options.verbose;
        match &acceptor {
            None => spawn(S::serve(stream, options.clone()), verbose),
            Some(acceptor) => {
                let (accepting, options) = (acceptor.accept(stream), options.clone());
                spawn(async move { S::serve(accepting.await?, options).await }, verbose);
            }
        }
    }
}

/// Returns the next connection, with Nagle's algorithm off.
pub(crate) async fn accept(listener: &TcpListener) -> Result<TcpStream> {
    loop {
        // An error means that the descriptors are used up, or the client has gone; the next one may succeed.
        if let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true)?;
            return Ok(stream);
        }
        tokio::task::yield_now().await;
    }
}

/// Serves a connection in a task of its own.
pub(crate) fn spawn(served: impl Future<Output = Result<()>> + Send + 'static, verbose: bool) {
    probing::spawn(async move {
        if let Err(error) = served.await
            && verbose
        {
            eprintln!("{error:#}");
        }
    });
}

/// Runs a server on the threads of the options, with as many descriptors as the system allows, and prints
/// its address. Calls `serve` once, or on each thread with `--apart`.
///
/// # Errors
///
/// The errors of the server, and of starting it.
pub fn run_on<F, S>(options: &Options, serve: F) -> Result<()>
where
    F: Fn(TcpListener) -> S + Send + Sync + 'static,
    S: Future<Output = Result<()>> + Send + 'static,
{
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let first = listen(options.listen, options.apart)?;
    let address = first.local_addr()?;
    let probe = options.probe.then(|| probing::start(options.threads)).transpose()?;
    if options.threads == 1 {
        announce(address, probe)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(async {
            probing::take_turns();
            serve(TcpListener::from_std(first)?).await
        });
    }
    if !options.apart {
        announce(address, probe)?;
        let workers = options.threads;
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
        let serving = async move { serve(TcpListener::from_std(first)?).await };
        return runtime.block_on(async {
            probing::take_turns();
            tokio::spawn(serving).await?
        });
    }
    let mut listeners = vec![first];
    while listeners.len() < options.threads {
        listeners.push(listen(address, true)?);
    }
    // All sockets listen already, so all get connections.
    announce(address, None)?;
    let serve = &serve;
    let serve_one = move |listener| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { serve(TcpListener::from_std(listener)?).await })
    };
    thread::scope(|scope| {
        let threads: Vec<_> = listeners
            .into_iter()
            .map(|listener| scope.spawn(move || serve_one(listener)))
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(served) => served,
            Err(_) => bail!("a thread panicked"),
        })
    })
}

/// Returns a listening socket for a runtime.
fn listen(address: SocketAddr, shared: bool) -> Result<std::net::TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    if shared {
        set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    net::listen(&socket, 1024)?;
    Ok(socket.into())
}

/// Returns the options, if the mode is one of these.
///
/// # Errors
///
/// If it is not.
pub fn parse(modes: &[&str]) -> Result<Options> {
    let options = Options::parse();
    if !modes.contains(&options.mode.as_str()) {
        bail!("no mode {:?} here, only {}", options.mode, modes.join(", "));
    }
    Ok(options)
}

/// # Errors
///
/// If it cannot be written.
fn announce(address: SocketAddr, probe: Option<SocketAddr>) -> Result<()> {
    let mut stdout = stdout().lock();
    let probe = probe.map(|probe| format!(", probe {probe}")).unwrap_or_default();
    writeln!(stdout, "listening {address}{probe}")?;
    Ok(stdout.flush()?)
}
