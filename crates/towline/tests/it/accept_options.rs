//! What a program says of one request goes before what the server is set to.

use tokio::io::DuplexStream;
use towline::{
    Accept, Compression, Config, Connection, Deflate, ErrorKind, OriginPolicy, Result, Server,
};
use towline_proto::handshake::SetCookie;

use crate::http::{arrives, head, header, status};

const OFFER: &str = "permessage-deflate; client_max_window_bits";

fn config(compression: Option<Deflate>) -> Config {
    Config::server().compression(compression.map(Compression::from))
}

/// What becomes of a request with these headers, and the head of its answer.
async fn accepted(
    builder: towline::ServerBuilder,
    accept: Accept,
    headers: &[(&str, &str)],
) -> (Result<Connection>, String, DuplexStream) {
    let mut server = builder.build();
    let (request, mut far) = arrives(&mut server, headers).await;
    let result = request.accept_with(accept).await;
    let head = head(&mut far).await;
    (result, head, far)
}

#[tokio::test(start_paused = true)]
async fn compression_is_as_the_request_was_accepted_with() {
    let narrow = || Deflate::server().send_context_takeover(true).send_window_bits(10);
    let ours = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let its = "permessage-deflate; client_no_context_takeover; server_max_window_bits=10";
    let of = |deflate: Deflate| Accept::new().compression(deflate);
    for (server, accept, answered) in [
        (None, Accept::new(), None),
        (Some(Deflate::server()), Accept::new(), Some(ours)),
        (None, of(narrow()), Some(its)),
        (Some(Deflate::server()), of(narrow()), Some(its)),
        (Some(Deflate::server()), Accept::new().compression(None), None),
        (Some(narrow()), of(Deflate::server()), Some(ours)),
    ] {
        let builder = Server::builder().config(config(server));
        let offer = [("Sec-WebSocket-Extensions", OFFER)];
        let (connection, head, _far) = accepted(builder, accept, &offer).await;
        assert_eq!(header(&head, "sec-websocket-extensions"), answered);
        assert_eq!(connection.unwrap().info().compression.is_some(), answered.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hands_out_frames_never_compresses() {
    for accept in [Accept::new(), Accept::new().compression(Deflate::server())] {
        let config = config(Some(Deflate::server())).assemble_fragments(false);
        let builder = Server::builder().config(config);
        let offer = [("Sec-WebSocket-Extensions", OFFER)];
        let (connection, head, _far) = accepted(builder, accept, &offer).await;
        assert_eq!(header(&head, "sec-websocket-extensions"), None);
        assert!(connection.unwrap().info().compression.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_is_allowed_as_the_request_was_accepted_with() {
    let page = [("Origin", "https://page.example")];
    for (policy, origin, is_allowed) in [
        (OriginPolicy::SameOrigin, None, false),
        (OriginPolicy::SameOrigin, Some("https://page.example"), true),
        (OriginPolicy::Any, None, true),
        (OriginPolicy::Any, Some("https://other.example"), false),
    ] {
        let builder = Server::builder().origins(policy);
        let accept = origin.map_or(Accept::new(), |origin| Accept::new().origin(origin));
        let (connection, head, _far) = accepted(builder, accept, &page).await;
        assert_eq!(status(&head), if is_allowed { 101 } else { 403 });
        assert_eq!(
            connection.err().map(|error| error.kind()),
            match is_allowed {
                true => None,
                false => Some(ErrorKind::OriginRefused),
            }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn protocol_cookies_and_headers_are_those_of_the_request() {
    let cookie = SetCookie::new("session", "1").unwrap();
    let accept = Accept::new().protocol("b").cookie(cookie).header("X-Berth", "7");
    let offer = [("Sec-WebSocket-Protocol", "a, b")];
    let (connection, head, _far) = accepted(Server::builder(), accept, &offer).await;
    assert_eq!(connection.unwrap().protocol(), Some("b"));
    assert_eq!(header(&head, "sec-websocket-protocol"), Some("b"));
    assert!(header(&head, "set-cookie").unwrap().starts_with("session=1"));
    assert_eq!(header(&head, "x-berth"), Some("7"));
}
