//! The byte stream to a server, without a WebSocket on it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use towline::{Blame, Client, CloseCode, ErrorKind, Message, Proxy, Server, Transport};

use crate::http::{accepts, head};
use crate::loopback::{behind, direct, listener, nobody, once, texts, until_end};

/// A server of another protocol, which speaks first, and then sends back what it gets.
async fn banner(stream: &mut TcpStream) {
    stream.write_all(b"220 ahoy\r\n").await.unwrap();
    let mut said = [0; 4];
    stream.read_exact(&mut said).await.unwrap();
    stream.write_all(&said).await.unwrap();
}

async fn is_banner(transport: &mut Transport) {
    let mut heard = [0; 10];
    transport.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 ahoy\r\n");
    transport.write_all(b"EHLO").await.unwrap();
    transport.flush().await.unwrap();
    transport.read_exact(&mut heard[..4]).await.unwrap();
    assert_eq!(&heard[..4], b"EHLO");
    transport.shutdown().await.unwrap();
    assert_eq!(transport.read(&mut heard).await.unwrap(), 0);
}

#[tokio::test]
async fn nothing_is_said_on_a_dialled_stream() {
    let (address, serving) = once(async |mut stream| {
        banner(&mut stream).await;
        until_end(&mut stream).await
    })
    .await;
    let client = direct().resolver(|host: String| async move {
        assert_eq!(host, "mail.example");
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    });
    let url = format!("ws://mail.example:{}/ignored?and#this", address.port());
    let mut transport = client.dial(url).await.unwrap();
    assert_eq!((transport.peer_addr(), transport.proxy()), (Some(address), None));
    assert!(transport.tls().is_none());
    assert!(transport.tcp_stream().unwrap().nodelay().unwrap());
    is_banner(&mut transport).await;
    assert_eq!(serving.await.unwrap(), b"");
}

/// A proxy whose server speaks in the same segment as the proxy.
async fn proxy(answers: Vec<(usize, &'static [u8])>) -> (std::net::SocketAddr, JoinHandle<()>) {
    once(async move |mut stream| {
        let (last, others) = answers.split_last().unwrap();
        for (count, answer) in others {
            stream.read_exact(&mut vec![0; *count]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
        match last.0 {
            0 => drop(head(&mut stream).await),
            count => drop(stream.read_exact(&mut vec![0; count]).await.unwrap()),
        }
        stream.write_all(&[last.1, b"220 ahoy\r\n"].concat()).await.unwrap();
        let mut said = [0; 4];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_proxy_is_passed_as_a_connection_passes_it() {
    let granted: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    // "mail.invalid"
    let named = 4 + 1 + 12 + 2;
    for (scheme, answers) in [
        ("http", vec![(0, &b"HTTP/1.1 200 OK\r\n\r\n"[..])]),
        ("socks5h", vec![(3, &[5, 0][..]), (named, granted)]),
    ] {
        let (address, serving) = proxy(answers).await;
        let client = behind(&format!("{scheme}://{address}"));
        let mut transport = client.dial("ws://mail.invalid:25").await.unwrap();
        assert_eq!(transport.peer_addr(), Some(address));
        assert_eq!(transport.proxy(), Some(&*format!("{scheme}://{address}")));
        is_banner(&mut transport).await;
        serving.await.unwrap();
    }
    // Around it, for a host that is an exception.
    let (address, serving) = once(async |mut stream| banner(&mut stream).await).await;
    let nobody = Proxy::new(format!("http://{}", nobody().await)).unwrap();
    let client = Client::new().proxy(nobody.no_proxy("127.0.0.0/8"));
    let mut transport = client.dial(format!("http://{address}")).await.unwrap();
    assert_eq!(transport.proxy(), None);
    is_banner(&mut transport).await;
    serving.await.unwrap();
}

#[tokio::test]
async fn a_websocket_opens_on_a_dialled_stream() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/feed", server.local_addr().unwrap());
    let transport = direct().dial(&url).await.unwrap();
    let (client, served) = tokio::join!(direct().connect_over(transport, &url), async {
        server.next_request().await.unwrap().accept().await.unwrap()
    });
    let (mut client, mut served) = (client.unwrap(), served);
    // It is still the socket that it was.
    assert!(client.tcp_stream().is_some());
    served.send("ship ahoy").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::text("ship ahoy")));
    let (closed, _) = tokio::join!(client.close(CloseCode::NORMAL, ""), served.recv());
    closed.unwrap();
}

/// The proxy that a stream was dialled through is that of its connection, and is named by its errors.
#[tokio::test]
async fn a_websocket_on_a_dialled_stream_knows_its_proxy() {
    let handshake = async |stream: &mut TcpStream, answers: bool| {
        head(stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let request = head(stream).await;
        let answer = match answers {
            true => accepts(&request, ""),
            false => b"SSH-2.0\r\n\r\n".to_vec(),
        };
        stream.write_all(&answer).await.unwrap();
        until_end(stream).await;
    };
    for answers in [true, false] {
        let (address, _serving) =
            once(async move |mut stream| handshake(&mut stream, answers).await).await;
        let client = behind(&format!("http://{address}"));
        let transport = client.dial("ws://mail.invalid").await.unwrap();
        let proxy = format!("http://{address}");
        match client.connect_over(transport, "ws://mail.invalid").await {
            Ok(connection) => {
                assert!(answers);
                assert_eq!(connection.proxy(), Some(&*proxy));
            }
            Err(error) => {
                assert!(!answers, "{error}");
                assert!(
                    error.to_string().ends_with(&format!("(through the proxy {proxy})")),
                    "{error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn dialling_fails_as_connecting_does() {
    for url in ["ftp://h", "ws://", "ws://u:s3cret@", "ws://h:99999"] {
        let error = direct().dial(url).await.unwrap_err();
        assert_eq!((error.kind(), error.blame()), (ErrorKind::InvalidUrl, Blame::Local), "{error}");
        assert!(!texts(&error).contains("s3cret"), "{error}");
    }
    let nobody = nobody().await;
    let error = direct().dial(format!("ws://{nobody}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().starts_with(&format!("can't connect to {nobody}: ")), "{error}");
    assert!(!error.is_tls() && !error.is_timeout() && error.status().is_none());

    let (address, _serving) = once(async |mut stream| {
        head(&mut stream).await;
        let denied = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(denied).await.unwrap();
    })
    .await;
    let error = behind(&format!("http://{address}")).dial("ws://h").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
    assert_eq!(error.status().unwrap(), 403);
}

#[tokio::test]
async fn the_step_that_dialling_was_at_is_told() {
    let (silent, proxy) = listener().await;
    let client = behind(&format!("http://{proxy}")).connect_timeout(Duration::from_millis(100));
    let error = client.dial("ws://feed.invalid").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    assert!(error.is_timeout());
    let step = format!("(connect_timeout): waiting for the answer of the proxy http://{proxy}");
    assert!(error.to_string().ends_with(&step), "{error}");
    // The abandoned stream ends.
    let (mut stream, _) = silent.accept().await.unwrap();
    until_end(&mut stream).await;
}

#[test]
fn the_proxy_of_a_url_is_known_before() {
    let proxy = Proxy::new("socks://deckhand:s3cret@[::1]").unwrap().no_proxy("internal.example");
    let client = Client::new().proxy(proxy);
    let through = client.proxy_for("wss://feed.example/a").unwrap();
    assert_eq!(through.as_deref(), Some("socks5h://[::1]:1080"));
    assert_eq!(client.proxy_for("ws://a.internal.example").unwrap(), None);
    assert_eq!(direct().proxy_for("ws://h").unwrap(), None);
    assert_eq!(client.proxy_for("ftp://h").unwrap_err().kind(), ErrorKind::InvalidUrl);
    let invalid = Client::new().proxy(Proxy::new("a").unwrap().header("host", "b"));
    assert_eq!(invalid.proxy_for("ws://h").unwrap_err().kind(), ErrorKind::InvalidProxy);
}
