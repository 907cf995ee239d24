//! Which server the routes use.

use axum::routing::{any, get};
use axum::{Extension, Router};
use towline::{CloseCode, Message, Server, ServerHandle};
use towline_axum::{default_server, layer, test};

use crate::support::{app, echoing, soon};

#[tokio::test]
async fn without_a_layer_all_routers_share_one() {
    let before = default_server().connections().len();
    let one = test::connect(app(), "/ws").await.unwrap();
    let two = test::connect(app(), "/ws").await.unwrap();
    // Other tests use it too, at the same time.
    assert!(default_server().connections().len() >= 2, "{before}");
    assert!(one.is_open() && two.is_open() && default_server().is_mounted());
}

#[tokio::test]
async fn the_inner_layer_wins() {
    let [inner, outer] = [(); 2].map(|()| Server::builder().build_handle());
    let app = Router::new()
        .merge(Router::new().route("/inner", any(echoing)).layer(layer(inner.clone())))
        .route("/outer", any(echoing))
        .layer(layer(outer.clone()));
    let _one = test::connect(app.clone(), "/inner").await.unwrap();
    let _two = test::connect(app.clone(), "/inner").await.unwrap();
    let _three = test::connect(app, "/outer").await.unwrap();
    soon(async {
        while (inner.connections().len(), outer.connections().len()) != (2, 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_handler_broadcasts_by_the_handle_among_its_extensions() {
    let tell = async |Extension(server): Extension<ServerHandle>| {
        server.connections().broadcast(Message::text("all hands")).await;
        "told"
    };
    let server = Server::builder().build_handle();
    let app = Router::new()
        .route("/ws", any(echoing))
        .route("/tell", get(tell))
        .layer(layer(server.clone()));
    let mut one = test::connect(app.clone(), "/ws").await.unwrap();
    one.send("here").await.unwrap();
    soon(one.recv()).await.unwrap();
    let request = http::Request::get("/tell").body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(app, request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(soon(one.recv()).await.unwrap(), Some(Message::text("all hands")));
    let closing = async { tokio::join!(server.close_all(CloseCode::NORMAL, ""), one.recv()) };
    let (closed, received) = soon(closing).await;
    assert_eq!((closed.unwrap(), received.unwrap()), (1, None));
}
