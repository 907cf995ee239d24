//! Beside other extractors, and what reaches the connection.

use std::net::SocketAddr;

use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{ConnectInfo, MatchedPath, OriginalUri, Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Extension, Router};
use http::{HeaderMap, StatusCode};
use towline::{Client, Connection, Message, ServerHandle};
use towline_axum::{Upgrade, test};

use crate::support::soon;

#[derive(Debug, Clone, PartialEq)]
struct User(String);

/// A layer that lets nobody in who does not say who they are.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let Some(name) = request.headers().get("authorization") else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let user = User(name.to_str().unwrap().to_owned());
    request.extensions_mut().insert(user);
    next.run(request).await
}

#[tokio::test]
async fn all_of_a_request_can_be_extracted_before_and_after() {
    async fn handler(
        State(state): State<&'static str>,
        Path(room): Path<String>,
        Extension(user): Extension<User>,
        upgrade: Upgrade,
        (headers, path): (HeaderMap, MatchedPath),
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        OriginalUri(uri): OriginalUri,
    ) -> Response {
        let seen = format!(
            "{state} {room} {} {} {} {} {uri}",
            user.0,
            headers["cookie"].to_str().unwrap(),
            path.as_str(),
            peer.ip(),
        );
        assert_eq!(upgrade.request().cookies()[0].value, "1");
        assert_eq!(upgrade.request().peer_addr(), Some(peer));
        upgrade.on_connection(async move |connection: Connection| {
            assert_eq!(connection.data().get(), Some(&user));
            assert!(connection.data().get::<ServerHandle>().is_none());
            connection.send(seen).await
        })
    }
    let app = Router::new()
        .route("/rooms/{room}", any(handler))
        .layer(from_fn(authenticate))
        .layer(MockConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))))
        .layer(towline_axum::layer(towline::Server::builder().build_handle()))
        .with_state("state");
    let error = test::connect(app.clone(), "/rooms/7").await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 401);
    let client = Client::new().header("authorization", "ada").header("cookie", "a=1");
    let mut connection = test::connect_with(&client, app, "/rooms/7?x").await.unwrap();
    let seen = "state 7 ada a=1 /rooms/{room} 192.0.2.1 /rooms/7?x";
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text(seen)));
}

#[tokio::test]
async fn a_nested_route_has_the_whole_path() {
    let tell = async |upgrade: Upgrade| {
        let path = upgrade.request().path().to_owned();
        upgrade.on_connection(async move |connection: Connection| {
            connection.send(format!("{path} {}", connection.resource())).await
        })
    };
    let app = Router::<()>::new().nest("/api", Router::new().route("/ws", any(tell)));
    let mut connection = test::connect(app, "/api/ws?a=b").await.unwrap();
    let seen = Message::text("/api/ws /api/ws?a=b");
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(seen));
}

#[tokio::test]
async fn data_for_the_connection_can_be_added_and_dropped() {
    let keep = async |mut upgrade: Upgrade| {
        upgrade.request_mut().data_mut().clear();
        upgrade.request_mut().data_mut().insert(User("bea".into()));
        upgrade.on_connection(async |connection: Connection| {
            let user = connection.data().get::<User>().unwrap().0.clone();
            connection.send(format!("{user} {}", connection.data().len())).await
        })
    };
    let app = Router::new().route("/ws", any(keep));
    let mut connection = test::connect(app, "/ws").await.unwrap();
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("bea 1")));
}

#[tokio::test]
async fn the_stream_is_taken_once() {
    let twice = async |first: Upgrade, second: Result<Upgrade, towline_axum::UpgradeRejection>| {
        assert_eq!(second.unwrap_err().kind(), towline_axum::RejectionKind::NotUpgradable);
        first.on_connection(async |connection: Connection| connection.send("one").await)
    };
    let app = Router::new().route("/ws", any(twice));
    let mut connection = test::connect(app, "/ws").await.unwrap();
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("one")));
}
