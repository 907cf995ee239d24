//! How a connection over TLS ends: close frames, then a close_notify, then the end of the stream. Who
//! leaves the close_notify out has not said goodbye, unless the close frames have.

use std::time::Duration;

use futures_util::SinkExt as _;
use towline::{
    CloseCause, CloseCode, Config, Connection, ErrorKind, Initiator, Keepalive, Opcode, Role,
};
use towline_kit::frame;

use crate::ends;
use crate::wire::{Far, connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

async fn is_freed(connection: Connection, far: &Far) {
    drop(connection);
    settle().await;
    assert!(far.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn close_frames_then_a_close_notify_then_the_end() {
    for role in BOTH {
        for first in [true, false] {
            let (mut connection, far) = connect(role, &Config::server());
            if first {
                connection.start_close(CloseCode::NORMAL, "bye").unwrap();
                settle().await;
                assert_eq!(far.hears()[0].close().reason(), "bye");
                assert_eq!(far.hears_end(), (false, false), "the peer may have more to say");
                far.says_all([frame().text("one more"), frame().close(1000, "bye")]);
            } else {
                far.says_all([frame().text("one more"), frame().close(1000, "bye")]);
            }
            assert_eq!(connection.recv().await.unwrap(), Some("one more".into()));
            assert_eq!(connection.recv().await.unwrap(), None);
            settle().await;
            if !first {
                assert_eq!(far.hears()[0].opcode(), Opcode::Close);
            }
            assert_eq!(far.hears_end(), (true, true), "{role:?}");
            far.ends();
            let closed = connection.wait_closed().await;
            assert!(closed.is_clean() && closed.cause() == CloseCause::Handshake, "{closed:?}");
            assert_eq!(closed.initiator() == Initiator::Local, first);
            is_freed(connection, &far).await;
        }
    }
}

/// Once the close frames have been exchanged, there is nothing left that could be cut off.
#[tokio::test(start_paused = true)]
async fn a_missing_close_notify_is_no_matter_after_the_close_frames() {
    for role in BOTH {
        for first in [true, false] {
            let (mut connection, far) = connect(role, &Config::server());
            if first {
                connection.start_close(CloseCode::NORMAL, "").unwrap();
                settle().await;
            }
            far.says_all([frame().text("last"), frame().close(1000, "")]);
            far.breaks_off();
            assert_eq!(connection.recv().await.unwrap(), Some("last".into()));
            assert_eq!(connection.recv().await.unwrap(), None);
            let closed = connection.wait_closed().await;
            assert!(closed.is_clean() && closed.cause() == CloseCause::Handshake, "{closed:?}");
            is_freed(connection, &far).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_close_frames_it_is_abnormal_with_a_close_notify_and_without() {
    for role in BOTH {
        for (how, cause) in [
            CloseCause::TransportEnded,
            CloseCause::TransportFailed(std::io::ErrorKind::UnexpectedEof),
            CloseCause::TransportFailed(std::io::ErrorKind::UnexpectedEof),
        ]
        .into_iter()
        .enumerate()
        {
            for closing in [false, true] {
                let (mut connection, far) = connect(role, &Config::server());
                far.says(frame().text("last words"));
                if closing {
                    connection.start_close(CloseCode::NORMAL, "").unwrap();
                }
                match how {
                    0 => far.ends(),
                    1 => far.breaks_off(),
                    _ => {
                        // In the middle of a record, and of a frame.
                        let ciphertext = far.ciphertext(&[0x82, 0x7e]);
                        far.says_ciphertext(&ciphertext[..ciphertext.len() - 1]);
                        far.breaks_off();
                    }
                }
                assert_eq!(connection.recv().await.unwrap(), Some("last words".into()));
                for _ in 0..3 {
                    let error = connection.recv().await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
                    assert_eq!(error.close_code(), Some(CloseCode::ABNORMAL));
                }
                let closed = connection.wait_closed().await;
                assert_eq!((closed.cause(), closed.is_clean()), (cause, false), "{role:?}");
                is_freed(connection, &far).await;
            }
        }
    }
}

/// What comes behind the peer's close_notify is of nobody.
#[tokio::test(start_paused = true)]
async fn behind_a_close_notify_nothing_comes() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says(frame().text("last"));
        far.says_close_notify();
        far.says_ciphertext(b"whatever this is");
        assert_eq!(connection.recv().await.unwrap(), Some("last".into()));
        assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::ConnectionLost);
        assert_eq!(connection.closed().unwrap().cause(), CloseCause::TransportEnded);
        is_freed(connection, &far).await;
    }
}

/// What is no TLS in the middle of it is an error that says so, and the peer is told.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_none_ends_the_connection() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says(frame().text("last"));
        far.says_ciphertext(&[
            23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
        ]);
        assert_eq!(connection.recv().await.unwrap(), Some("last".into()));
        let error = connection.recv().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
        let cause = CloseCause::TransportFailed(std::io::ErrorKind::InvalidData);
        assert_eq!(connection.closed().unwrap().cause(), cause);
        assert_eq!(connection.send("late").await.unwrap_err().kind(), ErrorKind::Closed);
        is_freed(connection, &far).await;
    }
}

/// Each end closes, whole and split and as a `Sink`, over sockets.
#[tokio::test]
async fn every_way_to_close_is_clean_at_both_ends() {
    let mut server = ends::server().auto_accept(true).bind("127.0.0.1:0").await.unwrap();
    let url = format!("{}://{}/", ends::SCHEME, server.local_addr().unwrap());
    for role in BOTH {
        for way in 0..4 {
            let (client, of_server) = tokio::join!(
                async { ends::client().connect(&url).await.unwrap() },
                server.next_connection()
            );
            let of_server = of_server.unwrap();
            let (mut closes, mut other) = match role {
                Role::Server => (of_server, client),
                Role::Client => (client, of_server),
            };
            let receiving = tokio::spawn(async move {
                let mut count = 0;
                while let Some(message) = other.recv().await.unwrap() {
                    assert_eq!(message.len(), 50_000);
                    count += 1;
                }
                (count, other.wait_closed().await)
            });
            for _ in 0..20 {
                closes.send(vec![1; 50_000]).await.unwrap();
            }
            let closed = match way {
                0 => closes.close(CloseCode::NORMAL, "").await.unwrap(),
                1 => {
                    closes.start_close(CloseCode::NORMAL, "").unwrap();
                    closes.wait_closed().await
                }
                2 => {
                    let (sender, receiver) = closes.split();
                    drop(receiver);
                    sender.close(CloseCode::NORMAL, "").await.unwrap()
                }
                _ => {
                    futures_util::SinkExt::close(&mut closes).await.unwrap();
                    closes.flush().await.unwrap();
                    closes.wait_closed().await
                }
            };
            assert!(closed.is_clean(), "{role:?}, {way}: {closed:?}");
            let (count, closed) = receiving.await.unwrap();
            assert!(count == 20 && closed.is_clean(), "{role:?}, {way}: {count}, {closed:?}");
        }
    }
}

/// A record that is long in coming is a sign of life, byte by byte; and one that stops is none.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_record_is_long_in_coming_is_not_gone() {
    let keepalive = Keepalive::every(Duration::from_secs(20)).grace(Duration::from_secs(10));
    let config = Config::server().keepalive(keepalive).send_timeout(None);
    for role in BOTH {
        for receives in [true, false] {
            let (connection, far) = connect(role, &config);
            let (sender, mut receiver) = connection.split();
            let message = frame().binary(vec![7; 1000]).by(far.role()).bytes();
            let ciphertext = far.ciphertext(&message);
            let receiving = tokio::spawn(async move {
                if receives {
                    assert_eq!(receiver.recv().await.unwrap().unwrap().len(), 1000);
                }
                receiver
            });
            for part in ciphertext[..1000].chunks(20) {
                tokio::time::sleep(Duration::from_secs(9)).await;
                far.says_ciphertext(part);
                assert!(sender.is_open(), "{role:?}, {receives}");
            }
            if receives {
                far.says_ciphertext(&ciphertext[1000..]);
                receiving.await.unwrap();
                continue;
            }
            // And now it is silent.
            let closed = tokio::time::timeout(Duration::from_secs(45), sender.wait_closed()).await;
            assert_eq!(closed.unwrap().cause(), CloseCause::PeerUnresponsive);
        }
    }
}

/// Over sockets: the program is busy, and the peer wants an answer to its pings.
#[tokio::test(start_paused = true)]
async fn a_program_that_is_busy_is_not_dead_to_its_peer() {
    for busy in BOTH {
        for (unread, idle) in
            (0..4).flat_map(|unread| (0..45).step_by(4).map(move |idle| (unread, idle)))
        {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (near, far) =
                tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
            let (near, far) = (near.unwrap(), far.unwrap().0);
            // The kernel's time is not virtual.
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let (server, client) = tokio::join!(
                ends::ENDS.server.accept(far),
                ends::ENDS.client.connect(near, "localhost")
            );
            let none = || [].as_slice().into();
            let server =
                Connection::from_stream(server.unwrap(), Role::Server, &Config::server(), none());
            let client =
                Connection::from_stream(client.unwrap(), Role::Client, &Config::client(), none());
            let ends = match busy {
                Role::Server => [server, client],
                Role::Client => [client, server],
            };
            crate::busy_program::is_borne_with(ends, unread, Duration::from_secs(idle)).await;
        }
    }
}
