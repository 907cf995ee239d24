//! warp: filters take the request apart, so a filter puts it together again.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::upgrade::OnUpgrade;
use tokio::net::TcpListener;
use towline::ServerHandle;
use towline::http::{HeaderMap, Method, Request};
use towline_hyper::respond;
use warp::Filter;
use warp::path::FullPath;

use crate::chat::{PAGE, chat, stopped};

/// Serves the chat until `stop` is ready, and then until the connections have ended.
pub async fn serve(
    listener: TcpListener,
    server: ServerHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let handle = server.clone();
    let rooms = warp::path!("chat" / String).and(request()).then(
        move |_room: String, request, peer: Option<SocketAddr>| {
            respond(&server, request, peer, chat)
        },
    );
    let page = warp::path::end().map(|| PAGE.to_owned());
    warp::serve(rooms.or(page)).incoming(listener).graceful(stopped(handle, stop)).run().await;
}

/// Extracts the request, with its upgrade, and the peer's address.
fn request() -> impl Filter<Extract = (Request<()>, Option<SocketAddr>), Error = Infallible> + Clone
{
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let parts = warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>());
    parts.map(assemble).and(warp::addr::remote())
}

fn assemble(
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    upgrade: Option<OnUpgrade>,
) -> Request<()> {
    let separator = if query.is_empty() { "" } else { "?" };
    let target = [path.as_str(), &query].join(separator);
    let mut request = Request::new(());
    *request.method_mut() = method;
    // It was a part of a valid target.
    *request.uri_mut() = target.parse().unwrap_or_default();
    *request.headers_mut() = headers;
    if let Some(upgrade) = upgrade {
        // Where hyper looks for it.
        request.extensions_mut().insert(upgrade);
    }
    request
}
