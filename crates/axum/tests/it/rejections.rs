//! Requests that become no connection, and what their clients are told.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::{Request, StatusCode};
use tower::ServiceExt as _;
use towline::{Client, CloseCode, ErrorKind, Server, ServerEvent};
use towline_axum::{RejectionKind, Upgrade, UpgradeRejection, layer, test};

use crate::support::{LONG, app, client, connect, echo, serve, soon};

/// A valid handshake with this header changed, or removed.
fn handshake(change: Option<(&'static str, Option<&str>)>) -> Request<Body> {
    let mut request = Request::get("/ws")
        .header("Host", "h")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(Body::empty())
        .unwrap();
    match change {
        Some((name, Some(value))) => {
            drop(request.headers_mut().insert(name, value.parse().unwrap()))
        }
        Some((name, None)) => drop(request.headers_mut().remove(name)),
        None => {}
    }
    request
}

async fn tell(upgrade: Result<Upgrade, UpgradeRejection>) -> Response {
    match upgrade {
        Ok(_) => "valid".into_response(),
        Err(rejection) => {
            let kind = format!("{:?}", rejection.kind());
            assert!(rejection.to_string().contains(rejection.reason()));
            assert_eq!(rejection.clone().into_response().status(), rejection.status());
            (rejection.status(), kind).into_response()
        }
    }
}

/// An app that answers with the kind of the rejection.
fn telling() -> Router {
    Router::new().route("/ws", any(tell))
}

async fn body(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test]
async fn each_kind_has_its_status() {
    let post = {
        let mut request = handshake(None);
        *request.method_mut() = http::Method::POST;
        request
    };
    let over_http2 = |method: &str| {
        let request = Request::builder().version(http::Version::HTTP_2).method(method);
        request.uri("https://h/ws").body(Body::empty()).unwrap()
    };
    let form = Request::post("/ws").header("Host", "h").body(Body::empty()).unwrap();
    for (request, kind, status) in [
        (handshake(Some(("upgrade", None))), RejectionKind::NotWebSocket, 426),
        (form, RejectionKind::NotWebSocket, 405),
        (over_http2("GET"), RejectionKind::NotWebSocket, 405),
        (over_http2("POST"), RejectionKind::NotWebSocket, 405),
        (over_http2("CONNECT"), RejectionKind::NotWebSocket, 400),
        (handshake(Some(("connection", Some("close")))), RejectionKind::NotWebSocket, 426),
        (post, RejectionKind::Method, 405),
        (handshake(Some(("sec-websocket-version", Some("7")))), RejectionKind::Version, 426),
        (handshake(Some(("sec-websocket-key", None))), RejectionKind::Invalid, 400),
        (handshake(Some(("host", None))), RejectionKind::Invalid, 400),
        // Nobody serves it, so there is no stream.
        (handshake(None), RejectionKind::NotUpgradable, 500),
    ] {
        let response = telling().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{kind:?}");
        assert_eq!(body(response).await, format!("{kind:?}"));
    }
}

/// The quotas of the server hold for its routes.
#[tokio::test]
async fn a_client_with_too_many_connections_is_told_to_come_back() {
    let server = Server::builder().max_connections_per_address(1).build_handle();
    let app = app().route("/tell", any(tell)).layer(layer(server.clone()));
    let address = serve(app).await;
    let connection = connect(address, "/ws").await;
    let error = soon(client().connect(format!("ws://{address}/ws"))).await.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "10");
    let error = soon(client().connect(format!("ws://{address}/tell"))).await.unwrap_err();
    assert_eq!(&error.response().unwrap().body()[..], b"TooMany");
    // Those behind a proxy count one by one.
    let other = client().header("x-forwarded-for", "203.0.113.1");
    let _other = soon(other.connect(format!("ws://{address}/ws"))).await.unwrap();
    drop(connection);
    soon(async {
        while server.stats().connections > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let _again = connect(address, "/ws").await;
}

#[tokio::test]
async fn the_response_says_what_the_rfc_wants() {
    let respond = async |request| app().oneshot(request).await.unwrap();
    let response = respond(handshake(Some(("sec-websocket-version", Some("7"))))).await;
    assert_eq!(response.headers()["sec-websocket-version"], "13, 8");
    let response = respond(handshake(Some(("upgrade", None)))).await;
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert!(body(response).await.contains("Upgrade: websocket"));
}

#[tokio::test]
async fn an_optional_upgrade_serves_pages_and_refuses_bad_handshakes() {
    let page_or_chat = async |upgrade: Option<Upgrade>| match upgrade {
        Some(upgrade) => upgrade.on_connection(echo),
        None => "a page".into_response(),
    };
    let app = Router::new().route("/ws", any(page_or_chat));
    let plain = Request::get("/ws").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(plain).await.unwrap();
    assert_eq!((response.status(), body(response).await.as_str()), (StatusCode::OK, "a page"));
    let bad = handshake(Some(("sec-websocket-key", None)));
    assert_eq!(app.clone().oneshot(bad).await.unwrap().status(), 400);
    assert!(test::connect(app, "/ws").await.unwrap().is_open());
}

#[tokio::test]
async fn pages_of_another_origin_get_403() {
    let client = Client::new().origin("https://evil.example");
    let error = test::connect_with(&client, app(), "/ws").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status(), 403);
    let client = Client::new().origin("http://localhost");
    assert!(test::connect_with(&client, app(), "/ws").await.is_ok());
}

#[tokio::test]
async fn the_handler_rejects_with_a_reason_or_answers_as_it_likes() {
    let server = Server::builder().build_handle();
    let mut events = server.events();
    let choose = async |upgrade: Upgrade| match upgrade.request().query() {
        Some("none") => upgrade.reject(StatusCode::NOT_FOUND, "no such room"),
        _ => (StatusCode::IM_A_TEAPOT, "short and stout").into_response(),
    };
    let app = Router::new().route("/ws", any(choose)).layer(layer(server.clone()));
    let error = test::connect(app.clone(), "/ws?none").await.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-websocket-reject-reason"], "no such room");
    let event = soon(events.next()).await;
    assert!(matches!(&event, Some(ServerEvent::Rejected { status, .. }) if *status == 404));
    let error = test::connect(app, "/ws").await.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!((response.status().as_u16(), &response.body()[..]), (418, &b"short and stout"[..]));
    // That was not the server's doing, so the next event is of a later one.
    let response = server.request(Request::new(()), None, std::future::pending());
    assert_eq!(response.unwrap_err().status(), 426);
    let event = soon(events.next()).await;
    let Some(ServerEvent::HandshakeFailed { status, .. }) = event else { panic!("{event:?}") };
    assert_eq!(status.unwrap(), 426);
    // No place among the handshakes is left taken.
    soon(server.shutdown(CloseCode::GOING_AWAY, LONG)).await.unwrap();
}

#[tokio::test]
async fn once_shut_down_the_answer_is_503() {
    let server = Server::builder().build_handle();
    let app = app().layer(layer(server.clone()));
    assert!(test::connect(app.clone(), "/ws").await.is_ok());
    soon(server.shutdown(CloseCode::GOING_AWAY, LONG)).await.unwrap();
    let error = test::connect(app.clone(), "/ws").await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 503);
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}
