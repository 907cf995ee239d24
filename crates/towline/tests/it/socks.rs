//! Through a SOCKS proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use towline::{Blame, Client, CloseCode, Error, ErrorKind, Message, Proxy, Result};

use crate::http::{accepts, head};
use crate::loopback::{behind, listener, once, texts, until_end};

/// What a SOCKS proxy says, and how many bytes it waits for before that.
type Script = Vec<(usize, Vec<u8>)>;

/// The reply that is a success, with an address that is nobody's concern.
const GRANTED: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
/// The bytes of a request for `feed.invalid`.
const NAMED: usize = 4 + 1 + 12 + 2;

/// A proxy of this script, byte by byte; its task gives what it heard, and the stream.
async fn scripted(script: Script) -> (SocketAddr, JoinHandle<(Vec<u8>, TcpStream)>) {
    once(async move |mut stream| {
        stream.set_nodelay(true).unwrap();
        let mut heard = Vec::new();
        for (count, answer) in script {
            let mut bytes = vec![0; count];
            if stream.read_exact(&mut bytes).await.is_err() {
                break;
            }
            heard.extend(bytes);
            for byte in answer {
                let _ = stream.write_all(&[byte]).await;
                tokio::task::yield_now().await;
            }
        }
        (heard, stream)
    })
    .await
}

/// What comes of such a proxy, which has no more to say then; and what it heard.
async fn fails(url: &str, script: Script) -> (Error, Vec<u8>) {
    let (proxy, task) = scripted(script).await;
    let url = format!("{url}{proxy}");
    let connecting =
        tokio::spawn(async move { behind(&url).connect("ws://feed.invalid/").await.map(drop) });
    let (heard, mut stream) = task.await.unwrap();
    let _ = stream.shutdown().await;
    let error = connecting.await.unwrap().unwrap_err();
    let text = texts(&error);
    assert!(!text.contains("s3cret") && !text.contains("deckhand"), "{text}");
    assert!(!error.to_string().contains('\n'), "{error}");
    assert_eq!(error.blame(), Blame::Remote, "{error}");
    (error, heard)
}

/// Serves the server's part on a tunnel, and says "hi" in the same segment.
async fn serve(stream: &mut TcpStream) {
    let request = head(stream).await;
    let answer = [&accepts(&request, "")[..], b"\x81\x02hi"].concat();
    stream.write_all(&answer).await.unwrap();
}

async fn says_hi(connection: Result<towline::Connection>) {
    let mut connection = connection.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("hi")));
    connection.abort(CloseCode::NORMAL, "");
}

#[tokio::test]
async fn the_proxy_looks_names_up_with_socks5h_and_socks() {
    for scheme in ["socks5h", "socks"] {
        let (proxy, task) = scripted(vec![(3, vec![5, 0]), (NAMED, GRANTED.to_vec())]).await;
        let client = behind(&format!("{scheme}://{proxy}"));
        let client = client.resolver(|host| async move { panic!("asked for {host}") });
        let connecting = tokio::spawn(async move { client.connect("ws://feed.invalid/").await });
        let (heard, mut stream) = task.await.unwrap();
        assert_eq!(heard, b"\x05\x01\x00\x05\x01\x00\x03\x0cfeed.invalid\x00\x50");
        serve(&mut stream).await;
        says_hi(connecting.await.unwrap()).await;
    }
}

#[tokio::test]
async fn addresses_are_sent_as_such_and_looked_up_here_with_socks5() {
    let v4 = [&[5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7], &443u16.to_be_bytes()[..]].concat();
    let v6 = [&[5, 1, 0, 5, 1, 0, 4][..], &Ipv6Addr::LOCALHOST.octets(), &[0, 80]].concat();
    for (scheme, url, expected) in [
        ("socks5h", "ws://192.0.2.7:443/", &v4),
        ("socks5", "ws://192.0.2.7:443/", &v4),
        ("socks5", "ws://feed.invalid:443/", &v4),
        ("socks5h", "ws://[::1]/", &v6),
        ("socks5", "ws://[::1]/", &v6),
    ] {
        let script = vec![(3, vec![5, 0]), (expected.len() - 3, GRANTED.to_vec())];
        let (proxy, task) = scripted(script).await;
        let client = behind(&format!("{scheme}://{proxy}"));
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let client = client.resolver(move |_| async move { Ok(vec![address]) });
        let connecting = tokio::spawn(async move { client.connect(url).await });
        let (heard, mut stream) = task.await.unwrap();
        assert_eq!(&heard, expected, "{scheme} {url}");
        serve(&mut stream).await;
        says_hi(connecting.await.unwrap()).await;
    }
}

#[tokio::test]
async fn no_byte_of_the_tunnel_is_taken_for_the_proxys() {
    for bound in [
        [&[1][..], &[0; 4]].concat(),
        [&[4][..], &[0; 16]].concat(),
        [&[3, 0][..]].concat(),
        [&[3, 255][..], &[b'x'; 255]].concat(),
    ] {
        let reply = [&[5, 0, 0][..], &bound, &[0, 80]].concat();
        let (proxy, task) = once(async move |mut stream| {
            let mut bytes = [0; 3];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            let mut bytes = [0; NAMED];
            stream.read_exact(&mut bytes).await.unwrap();
            // The server's first words come in the same segment.
            let both = [&reply[..], b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 101 Switch"].concat();
            stream.write_all(&both).await.unwrap();
            let request = head(&mut stream).await;
            let answer = accepts(&request, "");
            stream.write_all(&answer["HTTP/1.1 101 Switch".len()..]).await.unwrap();
            stream.write_all(b"\x81\x02hi").await.unwrap();
            stream
        })
        .await;
        let connection = behind(&format!("socks5h://{proxy}")).connect("ws://feed.invalid/").await;
        assert!(connection.as_ref().is_ok_and(|connection| connection.tcp_stream().is_some()));
        says_hi(connection).await;
        task.await.unwrap();
    }
}

#[tokio::test]
async fn user_and_password_are_told_if_they_are_asked_for() {
    let log_in = b"\x01\x08deckhand\x06s3cret";
    for version in [1, 5] {
        let script =
            vec![(4, vec![5, 2]), (log_in.len(), vec![version, 0]), (NAMED, GRANTED.to_vec())];
        let (proxy, task) = scripted(script).await;
        let client = behind(&format!("socks5h://deckhand:s3cret@{proxy}"));
        let connecting = tokio::spawn(async move { client.connect("ws://feed.invalid/").await });
        let (heard, mut stream) = task.await.unwrap();
        assert_eq!(heard[..4], [5, 2, 0, 2]);
        assert_eq!(&heard[4..][..log_in.len()], log_in);
        serve(&mut stream).await;
        says_hi(connecting.await.unwrap()).await;
    }
    // They stay here if they are not.
    let script = vec![(4, vec![5, 0]), (NAMED, GRANTED.to_vec())];
    let (proxy, task) = scripted(script).await;
    let proxy = Proxy::new(format!("socks5h://{proxy}")).unwrap().credentials("deckhand", "s3cret");
    let client = Client::new().proxy(proxy);
    let connecting = tokio::spawn(async move { client.connect("ws://feed.invalid/").await });
    let (heard, mut stream) = task.await.unwrap();
    assert!(!String::from_utf8_lossy(&heard).contains("s3cret"));
    serve(&mut stream).await;
    says_hi(connecting.await.unwrap()).await;
}

#[tokio::test]
async fn each_refusal_is_told_in_words() {
    for (reply, words) in [
        (1, "general failure"),
        (2, "not allowed by its rules"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "connection refused"),
        (6, "TTL expired"),
        (7, "command not supported"),
        (8, "address type not supported"),
        (9, "unknown reply 9"),
        (255, "unknown reply 255"),
    ] {
        // With and without the address behind it.
        for tail in [&[0, 1, 0, 0, 0, 0, 0, 0][..], &[]] {
            let answer = [&[5, reply][..], tail].concat();
            let script = vec![(3, vec![5, 0]), (NAMED, answer)];
            let (error, _) = fails("socks5h://", script).await;
            assert_eq!(error.kind(), ErrorKind::ProxyRefused);
            let told = format!("could not connect to feed.invalid, port 80: {words}");
            assert!(error.to_string().ends_with(&told), "{error}");
            assert!(error.response().is_none());
        }
    }
    for (url, count, told) in [
        ("socks5h://", 3, "it may ask for a user and password, and none were given"),
        ("socks5h://deckhand:s3cret@", 4, "neither the given user and password"),
    ] {
        let (error, _) = fails(url, vec![(count, vec![5, 0xff])]).await;
        assert_eq!(error.kind(), ErrorKind::ProxyRefused);
        assert!(
            error.to_string().contains("accepts none of the authentication methods offered"),
            "{error}"
        );
        assert!(error.to_string().contains(told), "{error}");
    }
    let script = vec![(4, vec![5, 2]), (17, vec![1, 1])];
    let (error, _) = fails("socks5h://deckhand:s3cret@", script).await;
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
    assert!(error.to_string().ends_with("refused this user and password"), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_socks_is_told() {
    let open = (3, vec![5, 0]);
    for (script, told) in [
        (vec![(3, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())], "does not speak SOCKS version 5"),
        (vec![(3, vec![4, 0])], "does not speak SOCKS"),
        (vec![(3, vec![5, 1])], "chose the authentication method 1, which was not offered"),
        (vec![(3, vec![5, 2])], "chose the authentication method 2, which was not offered"),
        (vec![open.clone(), (NAMED, vec![4, 0, 0, 1])], "does not speak SOCKS"),
        (vec![open.clone(), (NAMED, vec![5, 0, 0, 9])], "an address of the unknown type 9"),
        (vec![(3, vec![])], "closed the connection in the middle"),
        (vec![(3, vec![5])], "closed the connection in the middle"),
        (vec![open.clone(), (NAMED, vec![])], "closed the connection in the middle"),
        (vec![open.clone(), (NAMED, vec![5, 0, 0, 1, 0])], "closed the connection in the middle"),
        (vec![open, (NAMED, vec![5, 0, 0, 3, 200, 0])], "closed the connection in the middle"),
    ] {
        let (error, _) = fails("socks5h://", script).await;
        assert_eq!(error.kind(), ErrorKind::ProxyFailed, "{error}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
}

/// A proxy that refuses as many connections as there are replies, and gives what was asked for.
async fn refusing(replies: Vec<u8>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let (listener, proxy) = listener().await;
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 3];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            let mut bytes = [0; 10];
            stream.read_exact(&mut bytes).await.unwrap();
            asked.push(bytes[7]);
            stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            if reply == 0 {
                serve(&mut stream).await;
            }
            until_end(&mut stream).await;
        }
        asked
    });
    (proxy, task)
}

#[tokio::test]
async fn with_socks5_each_address_is_tried() {
    let addresses =
        |_| async { Ok([7, 8, 9].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, last, 1))).to_vec()) };
    let (proxy, task) = refusing(vec![5, 4, 0]).await;
    let client = behind(&format!("socks5://{proxy}")).resolver(addresses);
    says_hi(client.connect("ws://feed.invalid/").await).await;
    assert_eq!(task.await.unwrap().len(), 3);

    let (proxy, task) = refusing(vec![5, 4, 3]).await;
    let client = behind(&format!("socks5://{proxy}")).resolver(addresses);
    let error = client.connect("ws://feed.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
    for told in ["192.0.7.1, port 80: connection refused", "192.0.8.1", "192.0.9.1"] {
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(task.await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_socks_has_no_room_for_is_told() {
    let (proxy, _task) = scripted(vec![(4, vec![5, 2])]).await;
    let proxy =
        Proxy::new(format!("socks5h://{proxy}")).unwrap().credentials("u", "s3cret".repeat(50));
    let error = Client::new().proxy(proxy).connect("ws://feed.invalid/").await.unwrap_err();
    assert_eq!((error.kind(), error.blame()), (ErrorKind::InvalidProxy, Blame::Local));
    assert!(!texts(&error).contains("s3cret"));
    let (proxy, _task) = scripted(vec![(3, vec![5, 0])]).await;
    let url = format!("ws://{}/", "x".repeat(256));
    let error = behind(&format!("socks5h://{proxy}")).connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUrl);
}

#[tokio::test]
async fn a_proxy_that_falls_silent_is_named_and_let_go_of() {
    for script in [vec![(3, vec![])], vec![(3, vec![5, 0]), (NAMED, vec![5, 0, 0])]] {
        let (proxy, task) = scripted(script).await;
        let url = format!("socks5h://{proxy}");
        let connecting =
            tokio::spawn(async move { behind(&url).connect("ws://feed.invalid/").await.map(drop) });
        let (_, mut stream) = task.await.unwrap();
        // From here on nothing is on its way that matters, and time may pass.
        tokio::time::pause();
        let error = connecting.await.unwrap().unwrap_err();
        tokio::time::resume();
        assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
        let doing = format!("waiting for the answer of the proxy socks5h://{proxy}");
        assert!(error.to_string().ends_with(&doing), "{error}");
        until_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_connecting_that_is_dropped_leaves_no_socket_to_the_proxy_open() {
    for script in [vec![(3, vec![])], vec![(3, vec![5, 0]), (NAMED, vec![])]] {
        let (proxy, task) = scripted(script).await;
        let client = behind(&format!("socks5h://{proxy}"));
        let connecting = tokio::spawn(async move { client.connect("ws://feed.invalid/").await });
        let (_, mut stream) = task.await.unwrap();
        connecting.abort();
        assert_eq!(until_end(&mut stream).await, b"");
    }
}
