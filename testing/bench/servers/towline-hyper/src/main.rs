//! Towline mounted on an HTTP server, over HTTP/1.1 and HTTP/2: `recv` and `send`.

use std::convert::Infallible;

use anyhow::{Result, ensure};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use towline::{Config, Server};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;
use towline_hyper::{HttpServer, mount};

fn main() -> Result<()> {
    let options = listening::parse(&["plain"])?;
    ensure!(options.tls.is_none(), "no TLS here");
    ensure!(!options.compress, "no compression here");
    listening::run_on(&options, serve)
}

async fn serve(listener: TcpListener) -> Result<()> {
    // Keepalive and everything else is at its default.
    let config = Config::server()
        .max_received_frame_size(Options::LARGEST)
        .max_received_message_size(Options::LARGEST)
        .fragment_outgoing_messages(false);
    let mut server = Server::builder().config(config).build();
    let http = HttpServer::new(mount(server.handle(), service_fn(no_page)));
    http.listen(listener);
    while let Some(request) = server.next_request().await {
        tokio::spawn(async move {
            let mut connection = request.accept().await?;
            while let Some(message) = connection.recv().await? {
                connection.send(message).await?;
            }
            towline::Result::Ok(())
        });
    }
    Ok(())
}

async fn no_page(_: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}
