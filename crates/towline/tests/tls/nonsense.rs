//! What is no TLS, or not any more, ends with an error at both ends.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional, duplex};
use tokio::sync::oneshot;
use towline::{Client, CloseCause, ErrorKind, Server, TlsStream};

use crate::certificates::Authority;

/// Nothing of it begins like HTTP.
const NONSENSE: [&[u8]; 6] = [
    b"\x05\x01\x00 is what SOCKS says, and no record",
    b"ssh and the like speak in lower case",
    b"\x16\x03\x01\x00\x05hello of another kind",
    b"\x16\x03\x03\xff\xff is longer than a record can be",
    b"\x17\x03\x03\x00\x20 application data out of place, and more",
    &[0; 600],
];

/// The other end, which says this and nothing else.
fn says(nonsense: &'static [u8]) -> DuplexStream {
    let (stream, mut far) = duplex(1 << 16);
    tokio::spawn(async move {
        far.write_all(nonsense).await.unwrap();
        let _ = far.read_to_end(&mut Vec::new()).await;
    });
    stream
}

#[tokio::test]
async fn in_place_of_a_handshake_it_is_an_error() {
    let authority = Authority::new("root");
    let server = authority.server(&["localhost"]).server();
    for nonsense in NONSENSE {
        let of_server = server.accept(says(nonsense)).await.unwrap_err();
        let of_client = authority.trusted().connect(says(nonsense), "localhost").await.unwrap_err();
        for error in [of_server, of_client] {
            assert!([ErrorKind::NotTls, ErrorKind::Tls].contains(&error.kind()), "{error}");
        }
    }
}

#[tokio::test]
async fn after_a_handshake_it_is_an_error() {
    let authority = Authority::new("root");
    for nonsense in NONSENSE {
        let server = authority.server(&["localhost"]).server();
        let (near, mut from_near) = duplex(1 << 16);
        let (mut to_far, far) = duplex(1 << 16);
        let (spoil, spoiled) = oneshot::channel::<()>();
        let wire = tokio::spawn(async move {
            tokio::select! {
                _ = copy_bidirectional(&mut from_near, &mut to_far) => {}
                _ = spoiled => {
                    from_near.write_all(nonsense).await.unwrap();
                    to_far.write_all(nonsense).await.unwrap();
                }
            }
            (from_near, to_far)
        });
        let trusted = authority.trusted();
        let (client, server) = tokio::join!(trusted.connect(near, "localhost"), server.accept(far));
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        says_and_hears(&mut client, &mut server).await;
        says_and_hears(&mut server, &mut client).await;
        spoil.send(()).unwrap();
        for stream in [&mut client, &mut server] {
            let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
            let error = error.get_ref().and_then(|error| error.downcast_ref::<towline::Error>());
            let kind = error.map(towline::Error::kind);
            assert!(matches!(kind, Some(ErrorKind::Tls | ErrorKind::NotTls)), "{error:?}");
            stream.write_all(b"too late").await.unwrap_err();
            let _ = stream.shutdown().await;
        }
        wire.await.unwrap();
    }
}

async fn says_and_hears(speaker: &mut TlsStream, listener: &mut TlsStream) {
    speaker.write_all(b"all is well").await.unwrap();
    speaker.flush().await.unwrap();
    let mut heard = [0; 11];
    listener.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"all is well");
}

/// A connection says what its TLS has ended with, though a write may have failed by then.
#[tokio::test]
async fn an_end_of_a_connection_names_what_was_wrong_with_the_record() {
    let authority = Authority::new("root");
    for (nonsense, writes) in NONSENSE.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let tls = authority.server(&["localhost"]).server();
        let (near, mut from_near) = duplex(1 << 16);
        let (mut to_far, far) = duplex(1 << 16);
        let (spoil, spoiled) = oneshot::channel::<()>();
        let wire = tokio::spawn(async move {
            tokio::select! {
                _ = copy_bidirectional(&mut from_near, &mut to_far) => {}
                _ = spoiled => from_near.write_all(nonsense).await.unwrap(),
            }
            // What the client writes from here on fails.
            drop(from_near);
            to_far
        });
        let mut server = Server::builder().auto_accept(true).build();
        let client = Client::new();
        let connecting = async {
            let stream = authority.trusted().connect(near, "localhost").await.unwrap();
            client.connect_over(stream, "wss://localhost/").await.unwrap()
        };
        let serving = async {
            let stream = tls.accept(far).await.unwrap();
            server.serve(stream, None);
            server.next_connection().await.unwrap()
        };
        let (mut connection, _served) = tokio::join!(connecting, serving);
        spoil.send(()).unwrap();
        let _to_far = wire.await.unwrap();
        if writes {
            let _ = connection.send("into the void").await;
            connection.flushed().await;
        }
        let error = connection.recv().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        let text = error.to_string();
        assert!(text.contains("invalid data: TLS with the peer: "), "{text}");
        let cause = error.get_ref().and_then(|error| error.downcast_ref::<std::io::Error>());
        assert_eq!(cause.unwrap().kind(), std::io::ErrorKind::InvalidData);
        let failed = CloseCause::TransportFailed(std::io::ErrorKind::InvalidData);
        assert_eq!(connection.closed().unwrap().cause(), failed);
        let error = connection.send("late").await.unwrap_err();
        assert!(error.to_string().contains(": TLS with the peer: "), "{error}");
    }
}
