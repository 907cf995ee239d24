//! Promise 8: a close completes within the close timeout, and says how it came; a connection that
//! is dropped closes with 1001 and frees everything.

use std::io::ErrorKind as IoErrorKind;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::time::Instant;
use towline::{
    CloseCause, CloseCode, CloseFrame, Closed, Config, Connection, ErrorKind, Initiator, Keepalive,
    Message, Opcode, Role, Violation,
};
use towline_kit::frame;

use crate::support::pair;
use crate::wire::{Call, Far, connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn frame_of(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code), reason).unwrap()
}

/// Nothing is left of the connection but this test: no task, no transport.
async fn is_freed(far: &Far) {
    settle().await;
    assert!(far.is_dropped(), "the transport is held");
    // The timekeeper's task may sleep on until the deadline that it was to call at.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "a task is left");
}

fn assert_closed(closed: &Closed, initiator: Initiator, cause: CloseCause) {
    assert_eq!((closed.initiator(), closed.cause()), (initiator, cause), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_program_begins() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says(frame().text("in between"));
        far.says(frame().close(1000, "you too"));
        far.ends();
        let closed = connection.close(CloseCode::new(4001), "bye").await.unwrap();
        assert_closed(&closed, Initiator::Local, CloseCause::Handshake);
        assert_eq!(closed.sent(), Some(&frame_of(4001, "bye")));
        assert_eq!(closed.received(), Some(&frame_of(1000, "you too")));
        assert_eq!((closed.code(), closed.reason()), (CloseCode::new(4001), "bye"));
        assert!(closed.is_clean());
        assert_eq!(connection.closed(), Some(closed));
        for _ in 0..2 {
            assert_eq!(connection.recv().await.unwrap(), None);
        }
        let [heard] = &far.hears()[..] else { panic!("one frame") };
        assert_eq!(heard.close(), frame_of(4001, "bye"));
        drop(connection);
        is_freed(&far).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_is_begun_and_waited_for_from_different_places() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says(frame().text("in between"));
        far.says(frame().close(1000, ""));
        far.ends();
        connection.sender().start_close(CloseCode::NORMAL, "bye").unwrap();
        let closed = connection.wait_closed().await;
        assert_closed(&closed, Initiator::Local, CloseCause::Handshake);
        assert_eq!(closed.sent(), Some(&frame_of(1000, "bye")));
        assert_eq!(connection.wait_closed().await, closed);
        assert_eq!(connection.recv().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_peer_begins() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says_all([frame().text("last"), frame().close(4002, "enough")]);
        assert_eq!(connection.recv().await.unwrap(), Some(Message::text("last")));
        assert!(connection.is_open());
        for _ in 0..3 {
            let error = connection.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
            assert_eq!(error.to_string(), "closed by the peer with 4002 \"enough\"");
        }
        assert!(!connection.is_open());
        far.ends();
        let closed = connection.sender().wait_closed().await;
        assert_closed(&closed, Initiator::Remote, CloseCause::Handshake);
        assert_eq!(closed.sent(), Some(&frame_of(4002, "")));
        assert_eq!(closed.received(), Some(&frame_of(4002, "enough")));
        assert_eq!(far.hears().len(), 1);
        drop(connection);
        is_freed(&far).await;
    }
}

/// "the server MUST close the underlying TCP connection immediately; the client SHOULD wait for
/// the server to close the connection".
#[tokio::test(start_paused = true)]
async fn a_server_ends_the_transport_and_a_client_waits_for_that() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says(frame().close(1000, ""));
        assert_eq!(connection.recv().await.unwrap(), None);
        settle().await;
        assert!(far.calls().contains(&Call::Shutdown));
        let sender = connection.sender();
        let closed = tokio::time::timeout(Duration::ZERO, sender.wait_closed()).await;
        assert_eq!(closed.is_ok(), role == Role::Server);
        assert!(sender.wait_closed().await.is_clean(), "within the close timeout");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_both_begin_at_once() {
    let (mut server, mut client) = pair(&Config::server(), &Config::client());
    let (code, other) = (CloseCode::new(4000), CloseCode::new(4001));
    let (at_server, at_client) = tokio::join!(server.close(code, "s"), client.close(other, "c"));
    for (closed, code) in [(at_server.unwrap(), code), (at_client.unwrap(), other)] {
        assert_closed(&closed, Initiator::Local, CloseCause::Handshake);
        assert_eq!(closed.sent().unwrap().code(), code);
        assert_ne!(closed.received().unwrap().code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_a_close() {
    for role in BOTH {
        let config = Config::server().close_timeout(Duration::from_secs(7));
        let (mut connection, far) = connect(role, &config);
        let began = Instant::now();
        let closed = connection.close(CloseCode::NORMAL, "").await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 7);
        assert_closed(&closed, Initiator::Local, CloseCause::CloseTimeout);
        assert_eq!((closed.sent(), closed.received()), (Some(&frame_of(1000, "")), None));
        for _ in 0..2 {
            let error = connection.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CloseTimeout);
        }
        drop(connection);
        is_freed(&far).await;
    }
}

/// It goes on talking instead. What it says is received and dropped, and the timeout holds.
#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_on_instead_of_answering_a_close() {
    let (mut connection, far) = connect(Role::Server, &Config::server());
    let began = Instant::now();
    let closing =
        tokio::spawn(async move { connection.close(CloseCode::NORMAL, "").await.unwrap() });
    while !closing.is_finished() {
        far.says(frame().text("and another thing"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(closing.await.unwrap().cause(), CloseCause::CloseTimeout);
    is_freed(&far).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes() {
    for role in BOTH {
        for fails in [None, Some(IoErrorKind::ConnectionReset)] {
            let (mut connection, far) = connect(role, &Config::server());
            far.says(frame().text("last words"));
            match fails {
                None => far.ends(),
                Some(kind) => far.fails(kind),
            }
            assert_eq!(connection.recv().await.unwrap(), Some(Message::text("last words")));
            for _ in 0..3 {
                let error = connection.recv().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionLost);
                assert_eq!(error.close_code(), Some(CloseCode::ABNORMAL));
            }
            let cause = fails.map_or(CloseCause::TransportEnded, CloseCause::TransportFailed);
            assert_closed(&connection.closed().unwrap(), Initiator::Remote, cause);
            let error = connection.send("late").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert_eq!(error.into_message(), Some(Message::text("late")));
            assert_eq!(connection.close(CloseCode::NORMAL, "").await.unwrap().cause(), cause);
            // As a stream it says so once, and ends.
            assert!(connection.next().await.unwrap().is_err());
            assert!(connection.next().await.is_none());
            drop(connection);
            is_freed(&far).await;
        }
    }
}

/// The peer's last words may lie unread where writing to it fails.
#[tokio::test(start_paused = true)]
async fn a_transport_that_fails_to_be_written() {
    for says_why in [true, false] {
        let (mut connection, far) = connect(Role::Server, &Config::server());
        if says_why {
            far.says_all([frame().text("last words"), frame().close(4003, "why")]);
        }
        far.fails_writes(IoErrorKind::BrokenPipe);
        connection.send("into the void").await.unwrap();
        settle().await;
        let cause = CloseCause::TransportFailed(IoErrorKind::BrokenPipe);
        if says_why {
            assert_eq!(connection.recv().await.unwrap(), Some(Message::text("last words")));
            let error = connection.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
            let closed = connection.closed().unwrap();
            assert_closed(&closed, Initiator::Remote, cause);
            assert_eq!(closed.received(), Some(&frame_of(4003, "why")));
        } else {
            let error = connection.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionLost);
            assert_closed(&connection.closed().unwrap(), Initiator::Remote, cause);
        }
        drop(connection);
        is_freed(&far).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_peer() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        far.says(frame().text("hi").rsv(0b010));
        for _ in 0..3 {
            let error = connection.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PeerViolation);
            assert_eq!(error.close_code(), Some(CloseCode::PROTOCOL_ERROR));
        }
        let closed = connection.closed().unwrap();
        assert_eq!(closed.initiator(), Initiator::Local);
        assert!(matches!(closed.cause(), CloseCause::Violation(Violation::ReservedBits(_))));
        assert_eq!(far.hears()[0].close().code(), CloseCode::PROTOCOL_ERROR);
        far.ends();
        drop(connection);
        is_freed(&far).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort() {
    for role in BOTH {
        for stalled in [false, true] {
            let (mut connection, far) = connect(role, &Config::server());
            if stalled {
                far.stalls();
                connection.send(vec![0; 100_000]).await.unwrap();
                settle().await;
            }
            connection.abort(CloseCode::POLICY, "spam");
            assert!(!connection.is_open());
            let closed = connection.sender().wait_closed().await;
            assert_closed(&closed, Initiator::Local, CloseCause::Aborted);
            assert_eq!(connection.recv().await.unwrap(), None);
            assert_eq!(connection.send("late").await.unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(connection.queued_bytes(), 0);
            connection.flushed().await;
            far.flows();
            settle().await;
            let heard: Vec<_> = far.hears().iter().map(|heard| heard.opcode()).collect();
            assert_eq!(heard, if stalled { vec![] } else { vec![Opcode::Close] });
            drop(connection);
            is_freed(&far).await;
        }
    }
}

fn dropped(connection: Connection, how: u8) {
    let sender = connection.sender();
    let (first, receiver) = connection.split();
    match how {
        0 => drop((first, receiver, sender)),
        1 => drop((receiver, sender, first)),
        _ => {
            let (one, other) = (sender.clone(), sender);
            drop(receiver);
            drop((one, first));
            drop(other);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_closes_with_1001_and_frees_everything() {
    for role in BOTH {
        for how in 0..3 {
            for answers in [true, false] {
                let (connection, far) = connect(role, &Config::server());
                connection.send("first this").await.unwrap();
                dropped(connection, how);
                settle().await;
                let heard = far.hears();
                assert_eq!(heard[0].text(), "first this");
                assert_eq!(heard[1].close(), frame_of(1001, ""));
                if answers {
                    far.says(frame().close(1001, ""));
                    far.ends();
                } else {
                    tokio::time::sleep(Duration::from_secs(6)).await;
                }
                is_freed(&far).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_while_its_queue_is_full() {
    for reads_on in [true, false] {
        let (connection, far) = connect(Role::Server, &Config::server());
        far.stalls();
        connection.send(vec![0; 300_000]).await.unwrap();
        drop(connection);
        settle().await;
        assert!(!far.is_dropped());
        if reads_on {
            far.flows();
            settle().await;
            let heard = far.hears();
            assert_eq!(heard.last().unwrap().close(), frame_of(1001, ""));
            assert_eq!(heard.len(), 1 + 300_000usize.div_ceil(16 << 10));
            far.says(frame().close(1001, ""));
        } else {
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        is_freed(&far).await;
    }
}

/// Pings and a peer's close are answered for a program that holds only a sender.
#[tokio::test(start_paused = true)]
async fn a_close_without_a_receiver() {
    let (connection, far) = connect(Role::Server, &Config::server());
    let (sender, receiver) = connection.split();
    drop(receiver);
    far.says_all([frame().text("dropped"), frame().ping("?")]);
    settle().await;
    assert_eq!(far.hears()[0].opcode(), Opcode::Pong);
    let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await.unwrap() });
    settle().await;
    far.says(frame().close(1000, ""));
    settle().await;
    assert!(closing.await.unwrap().is_clean());
    is_freed(&far).await;
}

/// Whoever closes by one half, the other half hears of it.
#[tokio::test(start_paused = true)]
async fn a_close_by_one_half_is_the_end_of_the_other() {
    let (connection, far) = connect(Role::Client, &Config::client());
    let (sender, mut receiver) = connection.split();
    let receiving = tokio::spawn(async move { (receiver.recv().await, receiver) });
    let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await.unwrap() });
    settle().await;
    far.says(frame().close(1000, ""));
    far.ends();
    assert!(closing.await.unwrap().is_clean());
    let (received, receiver) = receiving.await.unwrap();
    assert_eq!(received.unwrap(), None);
    assert!(receiver.closed().unwrap().is_clean());
    drop(receiver);
    is_freed(&far).await;
}

/// A close whose frame could not be sent has not begun.
#[tokio::test(start_paused = true)]
async fn a_close_that_must_not_be_sent() {
    let (mut connection, far) = connect(Role::Server, &Config::server());
    for (code, reason) in
        [(1005, "why"), (1006, ""), (1015, ""), (999, ""), (1000, &*"x".repeat(124))]
    {
        let error = connection.close(CloseCode::new(code), reason).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSend, "{code}");
    }
    assert!(connection.is_open());
    assert!(far.hears().is_empty());
}

/// No status is a code that stands for none.
#[tokio::test(start_paused = true)]
async fn a_close_without_a_code() {
    for role in BOTH {
        let (connection, far) = connect(role, &Config::server());
        connection.start_close(CloseCode::NO_STATUS, "").unwrap();
        settle().await;
        let heard = far.hears();
        assert_eq!((heard.len(), heard[0].opcode()), (1, Opcode::Close));
        assert!(heard[0].payload.is_empty());
        let error = connection.start_close(CloseCode::NO_STATUS, "why").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSend);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_with_times_of_any_length() {
    const ANY: [Duration; 3] = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
    for interval in ANY {
        for grace in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
            for timeout in ANY {
                let config = Config::server()
                    .keepalive(Keepalive::every(interval).grace(grace))
                    .close_timeout(timeout)
                    .send_timeout(timeout);
                let (mut server, mut client) = pair(&config, &config);
                client.send("ship ahoy").await.unwrap();
                assert_eq!(server.recv().await.unwrap(), Some("ship ahoy".into()));
                let serving = tokio::spawn(async move { server.wait_closed().await });
                let closed = client.close(CloseCode::NORMAL, "bye").await.unwrap();
                let case = format!("{interval:?}, {grace:?}, {timeout:?}: {closed}");
                assert!(closed.is_clean(), "{case}");
                assert_eq!(serving.await.unwrap().reason(), "bye", "{case}");
            }
        }
    }
}
