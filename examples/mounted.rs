//! A page and an echoing WebSocket server on one port, on hyper. Run `cargo example mounted`, then open the
//! address it prints.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use tokio::net::TcpListener;
use towline::{CloseCode, Server};
use towline_hyper::{HttpServer, mount};

const PAGE: &str = "<!doctype html><title>Ship ahoy</title>
<h1>Ship ahoy</h1><form><input autofocus> <button>Send</button></form><ul></ul>
<script>
  const [form, input, list] = ['form', 'input', 'ul'].map(name => document.querySelector(name));
  const say = text => list.append(Object.assign(document.createElement('li'), { textContent: text }));
  const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
  socket.onmessage = event => say(event.data);
  socket.onclose = event => say(`closed: ${event.code} ${event.reason}`);
  form.onsubmit = event => { event.preventDefault(); socket.send(input.value); input.value = ''; };
</script>";

async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder().header("Content-Type", "text/html; charset=utf-8");
    Ok(response.body(PAGE.into()).expect("the header is valid"))
}

async fn echo(request: towline::Request) -> towline::Result<()> {
    let mut connection = request.accept().await?;
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut server = Server::builder().build();
    let http = HttpServer::new(mount(server.handle(), service_fn(page)));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    http.listen(listener);

    let handle = server.handle();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(echo(request));
        }
    });

    tokio::signal::ctrl_c().await?;
    let deadline = Duration::from_secs(5);
    tokio::join!(http.shutdown(deadline), handle.shutdown(CloseCode::GOING_AWAY, deadline)).1?;
    Ok(())
}
