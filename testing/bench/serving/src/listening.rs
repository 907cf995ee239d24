//! The listening socket and the runtime.

use std::io::{Write, stdout};
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};

use crate::options::Options;

/// Runs a server that hands every connection to `serve`, in a task of its own.
///
/// # Errors
///
/// If there is no such mode, or nothing can be listened on.
pub fn run<F, S>(modes: &[&str], serve: F) -> Result<()>
where
    F: Fn(TcpStream, Arc<Options>) -> S,
    S: Future<Output = Result<()>> + Send + 'static,
{
    let options = Arc::new(parse(modes)?);
    block_on(async {
        let listener = TcpListener::bind(options.listen).await?;
        announce(&listener)?;
        loop {
            // Out of descriptors, or a client that has gone already: the next one may do better.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            stream.set_nodelay(true)?;
            let served = serve(stream, options.clone());
            let verbose = options.verbose;
            tokio::spawn(async move {
                if let Err(error) = served.await
                    && verbose
                {
                    eprintln!("{error:#}");
                }
            });
        }
    })
}

/// The options, if the mode is one of these.
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

/// Runs a future on a runtime of this thread, with as many descriptors as the system allows.
///
/// # Errors
///
/// Those of the future, and what the runtime can't be made for.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Tells whoever started this server where it listens.
///
/// # Errors
///
/// If that cannot be found out or written.
pub fn announce(listener: &TcpListener) -> Result<()> {
    announce_address(listener.local_addr()?)
}

/// Tells whoever started this server where it listens.
///
/// # Errors
///
/// If it cannot be written.
pub fn announce_address(address: std::net::SocketAddr) -> Result<()> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "listening {address}")?;
    Ok(stdout.flush()?)
}
