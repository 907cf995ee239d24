//! Through an HTTP proxy, and around it.

use std::io::ErrorKind as IoErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use towline::{Blame, Client, CloseCode, Error, ErrorKind, HeadLimits, Message, Proxy, Server};

use crate::http::{accepts, head, header};
use crate::loopback::{Loopback, behind, listener, nobody, once, texts, until_end};

const BASIC: &str = "Basic ZGVja2hhbmQ6czNjcmV0";

/// A proxy that lets one connection through; its task gives what it was asked.
async fn letting_through() -> (SocketAddr, JoinHandle<String>) {
    once(async |mut stream| {
        let asked = head(&mut stream).await;
        let to = asked.split(' ').nth(1).unwrap().to_owned();
        let mut onward = TcpStream::connect(to).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut onward).await;
        asked
    })
    .await
}

/// What comes of a proxy that answers so, and then has no more to say.
async fn answered(client: Client, answer: impl Into<Vec<u8>>) -> Error {
    let answer = answer.into();
    let (listener, proxy) = listener().await;
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        until_end(&mut stream).await
    });
    let url = format!("http://deckhand:s3cret@{proxy}");
    let error = client.proxy(Proxy::new(url).unwrap()).connect("ws://feed.invalid/").await;
    let error = error.unwrap_err();
    // The proxy's connection has ended, with nothing more said on it.
    assert_eq!(serving.await.unwrap(), b"");
    let shown = texts(&error);
    assert!(!shown.contains("s3cret") && !shown.contains("ZGVja") && !shown.contains("deckhand"));
    assert!(!error.to_string().contains('\n'), "{error}");
    assert!(error.to_string().contains(&format!("the proxy http://{proxy}")), "{error}");
    error
}

#[tokio::test]
async fn a_tunnel_is_asked_for_though_the_target_is_not_secure() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (proxy, asked) = letting_through().await;
    let client = behind(&format!("http://{proxy}"));
    let (client, served) = tokio::join!(client.connect(format!("ws://{address}/feed")), async {
        server.next_request().await.unwrap().accept().await.unwrap()
    });
    let (mut client, mut served) = (client.unwrap(), served);
    client.send("ship ahoy").await.unwrap();
    assert_eq!(served.recv().await.unwrap(), Some(Message::text("ship ahoy")));
    served.send(vec![7; 300_000]).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::binary(vec![7; 300_000])));
    assert_eq!(client.peer_addr(), Some(proxy));
    assert_eq!(client.proxy(), Some(&*format!("http://{proxy}")));
    // It is still the socket that it was.
    assert!(client.tcp_stream().is_some_and(|tcp| tcp.nodelay().unwrap()));
    drop((client, served));
    let asked = asked.await.unwrap();
    assert_eq!(asked, format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
}

#[tokio::test]
async fn what_the_proxy_is_told_the_server_is_not() {
    let mut server = Loopback::accepting().await;
    for (url, change) in [
        ("http://deckhand:s3cret@", (|proxy| proxy) as fn(Proxy) -> Proxy),
        ("http://someone:else@", |proxy| proxy.credentials("deckhand", "s3cret")),
        ("deckhand:%733cret@", |proxy| proxy.header("x-ticket", "seven")),
    ] {
        let (address, asked) = letting_through().await;
        let proxy = change(Proxy::new(format!("{url}{address}")).unwrap());
        let shown = format!("{proxy:?}");
        assert_eq!(shown, format!("Proxy(http://{address})"));
        let client = Client::new().proxy(proxy);
        let shown = format!("{client:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("deckhand"), "{shown}");
        let mut connection = client.connect(server.url("/")).await.unwrap();
        connection.abort(CloseCode::NORMAL, "");
        connection.wait_closed().await;
        server.ended().await;
        let asked = asked.await.unwrap();
        assert_eq!(header(&asked, "proxy-authorization"), Some(BASIC));
        assert_eq!(header(&asked, "x-ticket").is_some(), url.contains("%73"));
    }
    let said = server.said().concat().to_lowercase();
    for secret in ["proxy-authorization", "x-ticket", "zgvja", "s3cret", "deckhand"] {
        assert!(!said.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_the_server_is_told_the_proxy_is_not() {
    let server = Loopback::accepting().await;
    let (proxy, asked) = letting_through().await;
    let client = behind(&format!("http://{proxy}")).header("authorization", "Bearer t0ken");
    let connection = client.connect(format!("ws://{}/path?query", server.address)).await.unwrap();
    connection.abort(CloseCode::NORMAL, "");
    let asked = asked.await.unwrap();
    assert!(!asked.contains("t0ken") && !asked.contains("path"), "{asked}");
}

#[tokio::test]
async fn a_refusal_is_told_with_the_proxys_answer() {
    for (status, body) in
        [("407 Proxy Authentication Required", "who?"), ("502 Bad Gateway", ""), ("403 No", "no")]
    {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nX-By: squid\r\nContent-Length: {length}\r\n\r\n{body}");
        let error = answered(Client::new(), answer).await;
        assert_eq!((error.kind(), error.blame()), (ErrorKind::ProxyRefused, Blame::Remote));
        assert_eq!(error.code(), "ERR_PROXY_REFUSED");
        let text = error.to_string();
        assert!(text.contains("feed.invalid, port 80") && text.contains(&status[..3]), "{text}");
        let response = error.response().unwrap();
        assert_eq!(response.status().as_str(), &status[..3]);
        assert_eq!(
            (&response.headers()["x-by"], &response.body()[..]),
            (&"squid".parse().unwrap(), body.as_bytes())
        );
    }
    for status in [101, 302, 401, 404, 500] {
        let error = answered(Client::new(), format!("HTTP/1.0 {status} x\r\n\r\n")).await;
        assert_eq!(error.kind(), ErrorKind::ProxyRefused, "{status}");
    }
}

#[tokio::test]
async fn who_asks_for_credentials_and_who_refuses_them_is_told_apart() {
    let required = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    let error = answered(Client::new(), required).await;
    assert!(error.to_string().ends_with("it does not accept this user and password"), "{error}");
    let (proxy, _task) = once(async move |mut stream| {
        head(&mut stream).await;
        stream.write_all(required.as_bytes()).await.unwrap();
    })
    .await;
    let error = behind(&format!("http://{proxy}")).connect("ws://feed.invalid/").await.unwrap_err();
    assert!(error.to_string().ends_with("it asks for a user and password"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_asks_for_a_scheme_which_is_not_spoken_is_told_so() {
    for (challenges, told) in [
        ("Proxy-Authenticate: Negotiate\r\n", "scheme Negotiate, which is not supported"),
        (
            "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n",
            "scheme Negotiate or NTLM, which is not supported",
        ),
        ("Proxy-Authenticate: Digest realm=\"a, b\", qop=auth\r\n", "scheme Digest, which"),
        ("Proxy-Authenticate: NTLM, Basic realm=\"a\"\r\n", "this user and password"),
    ] {
        let answer = format!("HTTP/1.1 407 x\r\n{challenges}\r\n");
        let error = answered(Client::new(), answer.clone()).await;
        assert_eq!(error.kind(), ErrorKind::ProxyRefused);
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert_eq!(error.response().unwrap().status().as_u16(), 407);
        let (proxy, _task) = once(async move |mut stream| {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let client = behind(&format!("http://{proxy}"));
        let error = client.connect("ws://feed.invalid/").await.unwrap_err();
        let told = told.replace("this user and password", "it asks for a user and password");
        assert!(error.to_string().contains(&told), "{told}: {error}");
    }
}

#[tokio::test]
async fn a_proxy_that_lets_through_and_ends_is_named() {
    for answer in ["", "SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n"] {
        let (proxy, _task) = once(async move |mut stream| {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            // The handshake of the WebSocket.
            head(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let client = behind(&format!("http://{proxy}"));
        let error = client.connect("ws://feed.invalid/").await.unwrap_err();
        let kind =
            if answer.starts_with("SSH") { ErrorKind::NotHttp } else { ErrorKind::Handshake };
        assert_eq!(error.kind(), kind);
        let text = error.to_string();
        assert!(text.contains("feed.invalid"), "{text}");
        assert!(text.ends_with(&format!(" (through the proxy http://{proxy})")), "{text}");
    }
}

#[tokio::test]
async fn what_does_not_speak_as_a_proxy_is_told() {
    let wide = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20);
    for (answer, told) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not speak HTTP"),
        ("\x05\x00", "does not speak HTTP"),
        ("\x15\x03\x01\x00\x02\x02\x16", "is it https:// and not http://?"),
        ("", "closed the connection without an answer"),
        ("HTTP/1.1 200 O", "did not answer"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n", "did not answer"),
        ("HTTP/2 200 OK\r\n\r\n", "version"),
        (&*wide, "16384 bytes (max_head_size)"),
        (&*many, "100 headers (max_headers)"),
        (&*interim, "interim"),
    ] {
        let error = answered(Client::new(), answer).await;
        assert_eq!((error.kind(), error.blame()), (ErrorKind::ProxyFailed, Blame::Remote));
        assert_eq!(error.code(), "ERR_PROXY_FAILED");
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert!(error.response().is_none());
    }
    let small = Client::new().head_limits(HeadLimits::default().max_head_size(20));
    let error = answered(small, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n").await;
    assert!(error.to_string().contains("20 bytes (max_head_size)"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_can_not_be_reached_is_not_taken_for_the_server() {
    let nobody = nobody().await;
    let proxy = format!("http://deckhand:s3cret@{nobody}");
    let error = behind(&proxy).connect("ws://feed.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyFailed);
    let start = format!("can't connect to the proxy http://{nobody}: ");
    assert!(error.to_string().starts_with(&start), "{error}");
    assert_eq!(error.to_string().matches(&nobody.to_string()).count(), 1, "{error}");
    assert!(!texts(&error).contains("s3cret"));
    let source = error.get_ref().and_then(|source| source.downcast_ref::<std::io::Error>());
    assert_eq!(source.unwrap().kind(), IoErrorKind::ConnectionRefused);

    let client = behind("http://proxy.invalid").resolver(|host: String| async move {
        assert_eq!(host, "proxy.invalid");
        Err(std::io::Error::other("no such thing"))
    });
    let error = client.connect("ws://feed.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyFailed);
}

#[tokio::test]
async fn an_answer_that_drips_is_read_to_its_end_and_no_further() {
    let (proxy, task) = once(async |mut stream| {
        stream.set_nodelay(true).unwrap();
        head(&mut stream).await;
        for byte in b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let request = head(&mut stream).await;
        stream.write_all(&accepts(&request, "")).await.unwrap();
        stream
    })
    .await;
    let client = behind(&format!("http://{proxy}"));
    client.connect("ws://feed.invalid/").await.unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn what_comes_with_the_proxys_answer_is_of_the_tunnel() {
    let (proxy, task) = once(async |mut stream| {
        head(&mut stream).await;
        let both = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 101 Switching Prot";
        stream.write_all(both).await.unwrap();
        let request = head(&mut stream).await;
        let answer = String::from_utf8(accepts(&request, "")).unwrap();
        let rest = answer.strip_prefix("HTTP/1.1 101 Switching Prot").unwrap();
        stream.write_all(rest.as_bytes()).await.unwrap();
        stream.write_all(b"\x81\x02hi").await.unwrap();
        stream
    })
    .await;
    let mut connection =
        behind(&format!("http://{proxy}")).connect("ws://feed.invalid/").await.unwrap();
    let mut stream = task.await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("hi")));
    assert_eq!(connection.peer_addr(), Some(proxy));
    connection.send("ho").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 0x81);
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_named_in_the_timeout() {
    for said in ["", "HTTP/1.1 200"] {
        let (proxy, asked) = once(async move |mut stream| {
            head(&mut stream).await;
            stream.write_all(said.as_bytes()).await.unwrap();
            stream
        })
        .await;
        let client = behind(&format!("http://deckhand:s3cret@{proxy}"));
        let connecting =
            tokio::spawn(async move { client.connect("ws://feed.invalid/").await.map(drop) });
        let mut stream = asked.await.unwrap();
        // From here on nothing is on its way that matters, and time may pass.
        tokio::time::pause();
        let error = connecting.await.unwrap().unwrap_err();
        tokio::time::resume();
        assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
        let expected = format!(
            "no connection to feed.invalid within 30s (connect_timeout): waiting for the answer of \
             the proxy http://{proxy}"
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(until_end(&mut stream).await, b"");
    }
}

#[tokio::test]
async fn a_connecting_that_is_dropped_leaves_no_socket_to_the_proxy_open() {
    // While the proxy is asked, and while the server is.
    for answer in ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n"] {
        let (proxy, asked) = once(async move |mut stream| {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains("200") {
                head(&mut stream).await;
            }
            stream
        })
        .await;
        let client = behind(&format!("http://{proxy}"));
        let connecting = tokio::spawn(async move { client.connect("ws://feed.invalid/").await });
        let mut stream = asked.await.unwrap();
        connecting.abort();
        assert_eq!(until_end(&mut stream).await, b"");
    }
}

#[tokio::test]
async fn hosts_that_are_excepted_and_no_proxy_at_all_are_direct() {
    let server = Loopback::accepting().await;
    let nobody = format!("http://{}", nobody().await);
    let proxy = || Proxy::new(&nobody).unwrap();
    for proxy in [
        proxy().no_proxy("*"),
        proxy().no_proxy("example.com").no_proxy("127.0.0.0/8"),
        proxy().no_proxy(server.address.to_string()),
        Proxy::none(),
    ] {
        let direct = Client::new().proxy(proxy).connect(server.url("/")).await.unwrap();
        assert_eq!(direct.proxy(), None);
    }
    let client = Client::new().proxy(proxy().no_proxy("127.0.0.1:1, 10.0.0.0/8, localhost"));
    let error = client.connect(server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyFailed);
}

#[tokio::test]
async fn what_can_be_no_proxy_is_told() {
    for url in
        ["ftp://deckhand:s3cret@h", "http://deckhand:s3cret@", "deckhand:s3cret@h:x", "socks4://h"]
    {
        let error = Proxy::new(url).unwrap_err();
        assert_eq!((error.kind(), error.blame()), (ErrorKind::InvalidProxy, Blame::Local));
        assert_eq!(error.code(), "ERR_INVALID_PROXY");
        assert!(!texts(&error).contains("s3cret"), "{error}");
    }
    for (name, value) in [("bad name", "x"), ("x", "a\nb"), ("host", "h"), ("content-length", "1")]
    {
        let proxy = Proxy::new("http://h").unwrap().header(name, value);
        let error = Client::new().proxy(proxy).connect("ws://feed.invalid/").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidProxy, "{name}");
    }
}

/// Runs this test once more, alone in a process with these variables: a connection to the URL, of
/// which it is told how it ended.
async fn in_a_process_with(test: &str, variables: &[(&str, String)], url: &str) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("TOWLINE_URL", url);
    for name in ["ws", "wss", "socks", "all", "https", "http", "no"] {
        command.env_remove(format!("{name}_proxy"));
        command.env_remove(format!("{name}_proxy").to_uppercase());
    }
    command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The same, in that process.
async fn connects_by_default() -> bool {
    let Ok(url) = std::env::var("TOWLINE_URL") else { return false };
    match Client::new().connect(url).await {
        Ok(connection) => println!("connected to {}", connection.peer_addr().unwrap()),
        Err(error) => println!("{:?} {error} {error:?}", error.kind()),
    }
    true
}

#[tokio::test]
async fn by_default_the_environment_names_the_proxy() {
    if connects_by_default().await {
        return;
    }
    let test = "proxies::by_default_the_environment_names_the_proxy";
    let server = Loopback::accepting().await;
    for name in ["ws_proxy", "ALL_PROXY", "http_proxy"] {
        let (proxy, asked) = letting_through().await;
        let value = format!("http://deckhand:s3cret@{proxy}");
        let output = in_a_process_with(test, &[(name, value)], &server.url("/")).await;
        assert!(output.contains(&format!("connected to {proxy}")), "{output}");
        assert_eq!(header(&asked.await.unwrap(), "proxy-authorization"), Some(BASIC));
    }
    let nobody = nobody().await.to_string();
    let excepted = [("http_proxy", nobody.clone()), ("NO_PROXY", "127.0.0.0/8".to_owned())];
    let output = in_a_process_with(test, &excepted, &server.url("/")).await;
    assert!(output.contains(&format!("connected to {}", server.address)), "{output}");
    let output = in_a_process_with(test, &excepted[..1], &server.url("/")).await;
    assert!(output.contains("ProxyFailed"), "{output}");
    let malformed = [("all_proxy", "gopher://deckhand:s3cret@h".to_owned())];
    let output = in_a_process_with(test, &malformed, &server.url("/")).await;
    assert!(output.contains("InvalidProxy the environment variable all_proxy: "), "{output}");
    assert!(!output.contains("s3cret"), "{output}");
}
