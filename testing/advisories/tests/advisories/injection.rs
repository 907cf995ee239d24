//! Line breaks and NUL in everything that reaches a header.

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, duplex};
use tokio::net::TcpListener;
use towline::{Accept, Client, ErrorKind, Proxy, Rejection, Server, SetCookie};

use crate::attacker::{answer, echo, neighbour_is_served, request, status};

/// What an attacker makes a program put in a string.
const HOSTILE: [&str; 6] = [
    "x\r\nX-Injected: 1",
    "x\nX-Injected: 1",
    "x\rX-Injected: 1",
    "x\0X-Injected: 1",
    "x\r\n\r\nGET /admin HTTP/1.1\r\nX-Injected: 1",
    "\r\nX-Injected: 1\r\n",
];

fn is_clean(said: &[u8]) {
    let said = String::from_utf8_lossy(said).to_lowercase();
    for line_break in ["\r", "\n", "\0"] {
        assert!(!said.contains(&format!("{line_break}x-injected")), "{said:?}");
    }
    assert!(said.matches("get ").count() <= 1 && said.matches("\r\n\r\n").count() <= 1, "{said:?}");
}

/// Returns what the client says, and the error that it ends with.
async fn says(client: Client, url: &str) -> (Vec<u8>, ErrorKind) {
    let (near, mut far) = duplex(64 << 10);
    let hears = tokio::spawn(async move {
        let mut said = vec![0; 64 << 10];
        let count = far.read(&mut said).await.unwrap();
        said.truncate(count);
        said
    });
    let error = client.connect_over(near, url).await.unwrap_err();
    (hears.await.unwrap(), error.kind())
}

#[tokio::test(start_paused = true)]
async fn cve_2026_47072_line_breaks_in_the_options_of_a_client() {
    for hostile in HOSTILE {
        for client in [
            Client::new().header("x-header", hostile),
            Client::new().header(hostile, "x"),
            Client::new().header("Cookie", hostile),
            Client::new().origin(hostile),
            Client::new().origin(format!("http://{hostile}")),
            Client::new().protocols([hostile]),
            Client::new().protocols(["chat", hostile]),
        ] {
            let (said, kind) = says(client, "ws://h/").await;
            assert_eq!((&said[..], kind), (&b""[..], ErrorKind::InvalidHandshakeOption));
        }
        for url in [
            format!("ws://h/{hostile}"),
            format!("ws://h/?{hostile}"),
            format!("ws://{hostile}/"),
            format!("ws://{hostile}@h/"),
            format!("ws://u:{hostile}@h/"),
            format!("ws://h/#{hostile}"),
        ] {
            let (said, _) = says(Client::new(), &url).await;
            is_clean(&said);
        }
    }
}

/// The same for a proxy, which is asked for a tunnel.
#[tokio::test]
async fn cve_2026_1527_line_breaks_in_what_a_proxy_is_told() {
    for hostile in HOSTILE {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut said = vec![0; 64 << 10];
                let count = stream.read(&mut said).await.unwrap_or(0);
                if said.starts_with(b"end") {
                    break;
                }
                all.push(said[..count].to_vec());
            }
            all
        });
        let proxy = || Proxy::new(format!("http://{address}")).unwrap();
        for proxy in [
            Ok(proxy().header("x-header", hostile)),
            Ok(proxy().header(hostile, "x")),
            Ok(proxy().credentials(hostile, "x")),
            Ok(proxy().credentials("x", hostile)),
            Proxy::new(format!("http://{hostile}@{address}")),
        ] {
            let Ok(proxy) = proxy else { continue };
            Client::new().proxy(proxy).connect("ws://h.invalid/").await.unwrap_err();
        }
        let client = Client::new().proxy(proxy());
        client.connect(format!("ws://{hostile}.invalid/")).await.unwrap_err();
        let mut end = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut end, b"end").await.unwrap();
        for said in heard.await.unwrap() {
            is_clean(&said);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2022_31150_line_breaks_in_what_a_server_answers() {
    for hostile in HOSTILE {
        assert!(SetCookie::new("name", hostile).is_err() && SetCookie::new(hostile, "x").is_err());
        let cookie = || SetCookie::new("name", "x").unwrap();
        assert!(cookie().path(hostile).is_err() && cookie().domain(hostile).is_err());
        assert!(cookie().expires_formatted(hostile).is_err());
        for accept in [
            Accept::new().header("x-header", hostile),
            Accept::new().header(hostile, "x"),
            Accept::new().protocol(hostile),
        ] {
            let mut server = Server::builder().build();
            let handle = server.handle();
            let accepting = async {
                server.next_request().await.unwrap().accept_with(accept).await.unwrap_err().kind()
            };
            let said = request("Sec-WebSocket-Protocol: x\r\n");
            let (kind, answer) = tokio::join!(accepting, answer(&handle, said.as_bytes()));
            assert_eq!((kind, status(&answer)), (ErrorKind::InvalidHandshakeOption, 500));
            is_clean(answer.as_bytes());
        }
        let mut server = Server::builder().build();
        let handle = server.handle();
        let rejection = Rejection::new(StatusCode::FORBIDDEN, hostile).header("x-header", hostile);
        let rejecting = async { server.next_request().await.unwrap().reject_with(rejection).await };
        let said = request("");
        let (_, answer) = tokio::join!(rejecting, answer(&handle, said.as_bytes()));
        assert_eq!(status(&answer), 403);
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        is_clean(head.as_bytes());
    }
}

/// What comes in is no header of two either.
#[tokio::test(start_paused = true)]
async fn cve_2019_16785_line_breaks_that_only_some_parsers_see() {
    for line in [
        "X-Header: a\rX-Injected: 1",
        "X-Header: a\0b",
        "X-Header: a\r\n folded",
        "X-Header : a",
        "X Header: a",
        ": a",
        "X-Header",
        "\u{b}X-Header: a",
    ] {
        let server = echo(Server::builder());
        let answer = answer(&server, request(&format!("{line}\r\n")).as_bytes()).await;
        assert_eq!(status(&answer), 400, "{line:?}");
        neighbour_is_served(&server).await;
    }
    // RFC 9112, section 2.2: "a recipient MAY recognize a single LF as a line terminator". A proxy
    // that does not sees another length of the body; so there must be none, and no next request.
    let server = echo(Server::builder());
    for hidden in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let lines = format!("X-Header: a\n{hidden}\r\n");
        let said = format!("{}GET /smuggled HTTP/1.1\r\n\r\n", request(&lines));
        let answer = answer(&server, said.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{hidden}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    neighbour_is_served(&server).await;
}
