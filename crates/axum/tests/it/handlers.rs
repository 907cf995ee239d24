//! The handler of a connection: how it accepts, and what becomes of its errors.

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use towline::{Accept, Client, CloseCode, Config, Connection, Deflate, Message, Server, SetCookie};
use towline_axum::{Upgrade, layer, test};

use crate::support::{echo, soon};

#[tokio::test]
async fn the_server_s_preferred_subprotocol_is_chosen() {
    let chat = async |upgrade: Upgrade| {
        let upgrade = upgrade.protocols(["chat.v3", "chat.v2", "chat.v1"]);
        let chosen = upgrade.protocol().map(str::to_owned);
        upgrade.on_connection(async move |connection: Connection| {
            assert_eq!(connection.protocol(), chosen.as_deref());
            echo(connection).await
        })
    };
    let app = Router::new().route("/ws", any(chat));
    for (offered, agreed) in [
        (&["chat.v1", "chat.v2"][..], Some("chat.v2")),
        (&["CHAT.v1"], Some("CHAT.v1")),
        (&["other"], None),
        (&[], None),
    ] {
        let client = Client::new().protocols(offered.iter().copied());
        let connection = test::connect_with(&client, app.clone(), "/ws").await.unwrap();
        assert_eq!(connection.protocol(), agreed, "{offered:?}");
    }
}

#[tokio::test]
async fn options_go_into_the_response() {
    let chat = async |upgrade: Upgrade| {
        let accept = Accept::new()
            .protocol("chat.v1")
            .header("X-Ship", "Endurance")
            .cookie(SetCookie::new("deck", "2").unwrap());
        upgrade.accept(accept).protocols(["chat.v2"]).on_connection(echo)
    };
    let app = Router::new().route("/ws", any(chat));
    let client = Client::new().protocols(["chat.v1", "chat.v2"]);
    let connection = test::connect_with(&client, app.clone(), "/ws").await.unwrap();
    assert_eq!(connection.protocol(), Some("chat.v2"));
    let headers = connection.response().unwrap().headers();
    assert_eq!(
        (&headers["x-ship"], &headers["set-cookie"]),
        (&"Endurance".parse().unwrap(), &"deck=2".parse().unwrap())
    );
    // A protocol that is not offered is the program's mistake.
    let error = test::connect(app, "/ws").await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 500);
}

#[tokio::test]
async fn the_server_s_configuration_holds() {
    let config = Config::server().max_received_message_size(4).compression(Deflate::server());
    let server = Server::builder().config(config).build_handle();
    let app = Router::new().route("/ws", any(crate::support::echoing)).layer(layer(server));
    let client = Client::new().config(Config::client().compression(Deflate::client()));
    let mut connection = test::connect_with(&client, app, "/ws").await.unwrap();
    assert_eq!(connection.extensions().len(), 1);
    connection.send("ship ahoy").await.unwrap();
    soon(connection.recv()).await.unwrap_err();
    assert_eq!(connection.closed().unwrap().code(), CloseCode::MESSAGE_TOO_BIG);
}

#[tokio::test]
async fn a_handler_that_panics_closes_with_1011() {
    let app = Router::new().route(
        "/ws",
        any(async |upgrade: Upgrade| {
            upgrade.on_connection(async |mut connection: Connection| {
                connection.recv().await.unwrap().expect("a message");
                assert!(!connection.is_open(), "on purpose");
            })
        }),
    );
    let mut connection = test::connect(app, "/ws").await.unwrap();
    connection.send("now").await.unwrap();
    soon(connection.recv()).await.unwrap_err();
    assert_eq!(connection.closed().unwrap().code(), CloseCode::INTERNAL_ERROR);
}

#[tokio::test]
async fn a_task_without_budget_gets_its_response_too() {
    let spend = async |upgrade: Upgrade| {
        // As after a lot of work: tokio makes everything pending until the task yields.
        std::future::poll_fn(|cx| {
            while tokio::task::coop::poll_proceed(cx).map(|unit| unit.made_progress()).is_ready() {}
            std::task::Poll::Ready(())
        })
        .await;
        upgrade.on_connection(echo)
    };
    let app = Router::new().route("/ws", any(spend));
    let mut connection = test::connect(app, "/ws").await.unwrap();
    connection.send("ahoy").await.unwrap();
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("ahoy")));
}

#[tokio::test]
async fn a_layer_that_replaces_the_response_leaves_nothing_behind() {
    let server = Server::builder().build_handle();
    let app = Router::new()
        .route("/ws", any(crate::support::echoing))
        .layer(axum::middleware::map_response(async |_: Response| http::StatusCode::BAD_GATEWAY))
        .layer(layer(server.clone()));
    let error = test::connect(app, "/ws").await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 502);
    drop(error);
    let shutdown =
        soon(server.shutdown(CloseCode::GOING_AWAY, crate::support::LONG)).await.unwrap();
    assert_eq!((shutdown.connections, shutdown.aborted), (0, 0));
}
