//! The handler of a connection: how it accepts, and what becomes of its errors.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use towline::{Accept, Client, CloseCode, Config, Connection, Deflate, Message, Server, SetCookie};
use towline_axum::{Upgrade, layer, test};
use tracing_subscriber::fmt::MakeWriter;

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

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    async fn line_with(&self, text: &str) -> String {
        loop {
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn errors_are_logged_by_whose_they_are() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    async fn fails(upgrade: Upgrade) -> Response {
        upgrade.on_connection(async |_: Connection| {
            anyhow::Ok(std::fs::read("/no/such/file").map(drop)?)
        })
    }
    async fn fails_in_words(upgrade: Upgrade) -> Response {
        upgrade.on_connection(async |_: Connection| Err::<(), _>("no words"))
    }
    async fn fails_to_send(upgrade: Upgrade) -> Response {
        upgrade.on_connection(async |connection: Connection| {
            let code = CloseCode::new(5000);
            let mut connection = connection;
            connection.close(code, "").await.map(drop)
        })
    }
    let app = Router::new()
        .route("/echo", any(crate::support::echoing))
        .route("/fails", any(fails))
        .route("/words", any(fails_in_words))
        .route("/send", any(fails_to_send));
    for (path, level, says) in [
        ("/fails", "WARN", "No such file"),
        ("/words", "WARN", "no words"),
        ("/send", "WARN", "5000"),
    ] {
        let _connection =
            test::connect(app.clone(), &format!("{path}?token=secret")).await.unwrap();
        let line = soon(log.line_with(says)).await;
        assert!(line.contains(level) && line.contains(path), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
    // A peer that breaks the protocol is not worth a warning.
    let connection = test::connect(app, "/echo").await.unwrap();
    connection.abort(CloseCode::POLICY, "spam");
    drop(connection);
    let line = soon(log.line_with("path=\"/echo\"")).await;
    assert!(line.contains("DEBUG"), "{line}");
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
