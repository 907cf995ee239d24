//! poem: it takes the upgrade out of the request, so `ServerHandle::respond` gets the two apart.

use std::io;

use poem::listener::TcpAcceptor;
use poem::web::Data;
use poem::{EndpointExt as _, Request, Response, Route, Server, get, handler};
use tokio::net::TcpListener;
use towline::{ServerHandle, Upgraded, http};

use crate::chat::{PAGE, chat, stopped};

/// Serves the chat until `stop` is ready, and then until the connections have ended.
///
/// # Errors
///
/// If it can't serve.
pub async fn serve(
    listener: TcpListener,
    server: ServerHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Route::new().at("/", get(page)).at("/chat/:room", get(room)).data(server.clone());
    let acceptor = TcpAcceptor::from_tokio(listener)?;
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(app, stopped(server, stop), None)
        .await
}

#[handler]
fn page() -> &'static str {
    PAGE
}

#[handler]
async fn room(request: &Request, server: Data<&ServerHandle>) -> Response {
    let peer = request.remote_addr().as_socket_addr().copied();
    let upgrade = request.take_upgrade();
    let upgraded = async {
        let stream = upgrade.map_err(io::Error::other)?.await.map_err(io::Error::other)?;
        Ok(Upgraded::new(stream, Vec::new()))
    };
    let answer = server.respond(head(request), peer, upgraded, chat).await;
    let (parts, body) = answer.into_parts();
    let mut response = Response::from(body);
    response.set_status(parts.status);
    *response.headers_mut() = parts.headers;
    response
}

fn head(request: &Request) -> http::Request<()> {
    let mut head = http::Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.original_uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    *head.extensions_mut() = request.extensions().clone();
    head
}
