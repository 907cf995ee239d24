//! Nothing received is thrown away, on real sockets: the peer ends or resets its connection while what
//! it has said lies unread. The kernel of Linux keeps that after a reset. Others drop it.

use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use towline::{CloseCode, Config, Connection, ErrorKind, Message, Role};
use towline_kit::{frame, join};

/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(60);

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

#[tokio::test]
async fn what_the_kernel_has_is_received_when_writing_fails() {
    for is_reset in [true, false] {
        for is_told in [true, false] {
            let (near, mut far) = sockets().await;
            let config = Config::client();
            let connection = Connection::from_stream(near, Role::Client, &config, Bytes::new());
            let (sender, mut receiver) = connection.split();
            let mut said: Vec<_> =
                (0..1000).map(|number: u32| frame().text(number.to_string())).collect();
            if is_told {
                said.push(frame().close(1001, ""));
            }
            far.write_all(&join(said.into_iter().map(|frame| frame.by(Role::Server))))
                .await
                .unwrap();
            if is_reset {
                SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(far);
            // The first writes can succeed: the peer answers them with a reset.
            tokio::time::timeout(LONG, async {
                while sender.send("into the void").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await
            .expect("writing fails");
            for number in 0..1000 {
                let received = receiver.recv().await.unwrap();
                assert_eq!(received, Some(Message::text(number.to_string())));
            }
            let end = tokio::time::timeout(LONG, receiver.recv()).await.expect("an end");
            let closed = receiver.closed().unwrap();
            assert!(!closed.is_clean());
            if is_told {
                assert_eq!(end.unwrap(), None);
                assert_eq!(closed.code(), CloseCode::GOING_AWAY);
                assert!(closed.to_string().starts_with("closed by the peer with 1001"), "{closed}");
            } else {
                assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionLost);
            }
        }
    }
}
