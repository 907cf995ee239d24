//! salvo: `Request::strip_to_hyper` gives the request of hyper's.

use salvo::conn::tcp::TcpAcceptor;
use salvo::http::ReqBody;
use salvo::prelude::*;
use tokio::net::TcpListener;
use towline::ServerHandle;
use towline_hyper::respond;

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
) -> std::io::Result<()> {
    let router =
        Router::new().get(page).push(Router::with_path("chat/{room}").goal(Room(server.clone())));
    let salvo = Server::new(TcpAcceptor::try_from(listener)?);
    let handle = salvo.handle();
    tokio::spawn(async move {
        stopped(server, stop).await;
        handle.stop_graceful(None);
    });
    salvo.try_serve(router).await
}

#[handler]
async fn page() -> &'static str {
    PAGE
}

struct Room(ServerHandle);

#[handler]
impl Room {
    async fn handle(&self, request: &mut Request, response: &mut Response) {
        let peer = request.remote_addr().clone().into_std();
        let Ok(request) = request.strip_to_hyper::<ReqBody>() else {
            response.render(StatusError::bad_request());
            return;
        };
        let answer = respond(&self.0, request, peer, chat).await;
        let (parts, body) = answer.into_parts();
        response.status_code(parts.status);
        *response.headers_mut() = parts.headers;
        response.body(body);
    }
}
