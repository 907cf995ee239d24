//! Nothing received is thrown away: what has arrived before a write fails is received, and the peer's
//! close frame tells why the connection has ended.

use std::io::ErrorKind as IoErrorKind;
use std::time::Duration;

use towline::{CloseCause, CloseCode, Config, ErrorKind, Initiator, Message, Role};
use towline_kit::frame;

use crate::wire::{connect, settle};

const FAILED: CloseCause = CloseCause::TransportFailed(IoErrorKind::BrokenPipe);

/// What this end writes when writing fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Writes {
    Message,
    Ping,
    /// The answer to the peer's close frame, and nothing before.
    Answer,
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_received_when_writing_fails() {
    for role in [Role::Server, Role::Client] {
        for writes in [Writes::Message, Writes::Ping, Writes::Answer] {
            for is_told in [true, false] {
                if writes == Writes::Answer && !is_told {
                    continue;
                }
                let case = format!("{role:?}, {writes:?}, {is_told}");
                let (connection, far) = connect(role, &Config::server());
                let (sender, mut receiver) = connection.split();
                for number in 0..100 {
                    far.says(frame().text(number.to_string()));
                }
                if is_told {
                    far.says(frame().close(1001, "bye"));
                }
                far.ends();
                far.fails_writes(IoErrorKind::BrokenPipe);
                match writes {
                    Writes::Message => sender.send("into the void").await.unwrap(),
                    Writes::Ping => sender.ping("into the void").await.unwrap(),
                    Writes::Answer => {}
                }
                // Nobody receives for a while.
                settle().await;
                assert_eq!(sender.is_open(), writes == Writes::Answer, "{case}");
                for number in 0..100 {
                    let received = receiver.recv().await.unwrap();
                    assert_eq!(received, Some(Message::text(number.to_string())), "{case}");
                }
                let end = receiver.recv().await;
                let closed = receiver.closed().unwrap();
                assert_eq!((closed.cause(), closed.initiator()), (FAILED, Initiator::Remote));
                if is_told {
                    assert_eq!(end.unwrap(), None, "{case}");
                    assert_eq!((closed.code(), closed.reason()), (CloseCode::GOING_AWAY, "bye"));
                    assert_eq!(closed.sent(), None, "{case}");
                    assert_eq!(
                        closed.to_string(),
                        "closed by the peer with 1001 (going away) \"bye\", which was not answered: \
                         the transport failed: broken pipe"
                    );
                } else {
                    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionLost, "{case}");
                    assert_eq!(closed.to_string(), "the transport failed: broken pipe");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_awaited_no_longer_than_the_close_timeout_when_writing_fails() {
    for is_received in [true, false] {
        let (mut connection, far) =
            connect(Role::Client, &Config::server().close_timeout(Duration::from_secs(7)));
        far.fails_writes(IoErrorKind::BrokenPipe);
        let began = tokio::time::Instant::now();
        connection.send("into the void").await.unwrap();
        let closed = if is_received {
            assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::ConnectionLost);
            connection.closed().unwrap()
        } else {
            connection.sender().wait_closed().await
        };
        assert_eq!((closed.cause(), began.elapsed().as_secs()), (FAILED, 7));
    }
}

/// Streams of programs tell an error once, and the one who looks whether the peer is alive may be the
/// one who is told.
#[tokio::test(start_paused = true)]
async fn an_error_of_reading_is_received_though_the_program_was_busy_when_it_came() {
    for role in [Role::Server, Role::Client] {
        for (more, keeps_sender) in [(0, false), (0, true), (3, false), (3, true)] {
            let (connection, far) = connect(role, &Config::server());
            let (sender, mut receiver) = connection.split();
            let sender = keeps_sender.then_some(sender);
            far.says(frame().text("work"));
            assert_eq!(receiver.recv().await.unwrap(), Some("work".into()));
            for _ in 0..more {
                far.says(frame().text("more"));
            }
            far.fails(IoErrorKind::ConnectionReset);
            tokio::time::sleep(Duration::from_secs(15)).await;
            for _ in 0..more {
                assert_eq!(receiver.recv().await.unwrap(), Some("more".into()));
            }
            let error = receiver.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionLost);
            let cause = receiver.closed().unwrap().cause();
            assert_eq!(cause, CloseCause::TransportFailed(IoErrorKind::ConnectionReset));
            drop(sender);
        }
    }
}
