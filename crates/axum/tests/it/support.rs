//! What the tests share: apps, served by axum itself.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use tokio::net::TcpListener;
use towline::{Client, Connection, Proxy};
use towline_axum::Upgrade;

/// Long enough for anything that happens at all.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Whatever happens, within a time in which it must.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("this never happens")
}

/// Echoes messages.
pub(crate) async fn echo(mut connection: Connection) -> towline::Result<()> {
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

pub(crate) async fn echoing(upgrade: Upgrade) -> Response {
    upgrade.on_connection(echo)
}

/// An app that echoes at `/ws`, with a page beside it.
pub(crate) fn app() -> Router {
    Router::new().route("/ws", any(echoing)).route("/", any(async || "a page"))
}

/// Serves an app on loopback, as programs do.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

pub(crate) fn client() -> Client {
    Client::new().proxy(Proxy::none())
}

pub(crate) async fn connect(address: SocketAddr, path: &str) -> Connection {
    soon(client().connect(format!("ws://{address}{path}"))).await.unwrap()
}
