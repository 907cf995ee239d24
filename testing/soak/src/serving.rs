//! The server's process: it echoes, and answers questions on its standard input.

use std::convert::Infallible;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use towline::{CloseCode, Config, Deflate, Keepalive, Server, TlsServer};
use towline_hyper::{HttpServer, mount};

use crate::figures::Figures;

/// What differs between the servers of the runs.
#[derive(Args)]
pub(crate) struct Options {
    /// The seconds of silence before a ping
    #[arg(long, default_value_t = 10)]
    pub(crate) keepalive: u64,
    /// How long a client may take to answer a close frame, in seconds
    #[arg(long, default_value_t = 3)]
    pub(crate) close_timeout: u64,
    /// How many connections there can be
    #[arg(long)]
    pub(crate) max_connections: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keepalive: 10, close_timeout: 3, max_connections: None }
    }
}

impl Options {
    /// The arguments of the server's process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Self { keepalive, close_timeout, .. } = self;
        let mut arguments =
            vec![format!("--keepalive={keepalive}"), format!("--close-timeout={close_timeout}")];
        arguments.extend(self.max_connections.map(|most| format!("--max-connections={most}")));
        arguments
    }
}

/// Serves until its standard input ends.
///
/// # Errors
///
/// If it cannot listen, or a question cannot be answered.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let keepalive = Keepalive::every(Duration::from_secs(options.keepalive));
    let config = Config::server()
        .keepalive(keepalive.grace(Duration::from_secs(30)))
        .close_timeout(Duration::from_secs(options.close_timeout))
        .compression(Deflate::server());
    let server = Server::builder()
        .config(config)
        .max_connections(options.max_connections)
        // Clients that share a busy machine with the server are slow, and polite nevertheless.
        .handshake_timeout(Duration::from_secs(30))
        .bind("127.0.0.1:0")
        .await?;
    let handle = server.handle();
    let plain = server.local_addr()?;

    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()])?;
    let tls = TlsServer::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let secure = listener.local_addr()?;
    let http = HttpServer::new(mount(handle.clone(), hyper::service::service_fn(nothing)))
        .max_handshakes(10_000)
        .tls(tls);
    http.listen(listener);
    tokio::spawn(accept(server));
    say(&format!("{} {}", plain.port(), secure.port()));

    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    while let Some(question) = questions.next_line().await? {
        match question.strip_prefix("shutdown ") {
            None => say(&Figures::read(&handle)?.to_string()),
            Some(seconds) => {
                let deadline = Duration::from_secs(seconds.parse().context("no deadline")?);
                let start = std::time::Instant::now();
                let done = handle.shutdown(CloseCode::GOING_AWAY, deadline).await?;
                let took = start.elapsed().as_millis();
                say(&format!("{} {} {took}", done.connections, done.aborted));
            }
        }
    }
    Ok(())
}

async fn accept(mut server: Server) {
    while let Some(request) = server.next_request().await {
        tokio::spawn(async move {
            let mut connection = request.accept().await?;
            while let Some(message) = connection.recv().await? {
                connection.send(message).await?;
            }
            towline::Result::Ok(())
        });
    }
}

async fn nothing(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to tell if the clients' process is gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
