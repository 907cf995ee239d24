//! What whoever receives is told at the end: nothing where all is well, and else what the peer said.

use futures_util::StreamExt as _;
use towline::{CloseCause, CloseCode, Config, Connection, ErrorKind, Initiator, Role};
use towline_kit::{FrameBytes, frame};

use crate::wire::{Far, connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn closed_with(role: Role, close: FrameBytes) -> (Connection, Far) {
    let (connection, far) = connect(role, &Config::server());
    far.says_all([frame().text("last"), close]);
    far.ends();
    (connection, far)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_and_says_nothing_wrong_is_an_end_and_no_error() {
    for role in BOTH {
        for close in
            [frame().close(1000, "bye"), frame().close(1001, "going"), frame().close_with([])]
        {
            let (mut connection, _far) = closed_with(role, close.clone());
            assert_eq!(connection.recv().await.unwrap(), Some("last".into()));
            for _ in 0..2 {
                assert_eq!(connection.recv().await.unwrap(), None);
                assert!(connection.next_event().await.unwrap().is_none());
            }
            let (connection, _far) = closed_with(role, close.clone());
            let (_sender, mut receiver) = connection.split();
            assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 4);
            assert!(receiver.recv_ref().await.unwrap().is_none());
            let (connection, _far) = closed_with(role, close);
            assert_eq!(connection.map(|item| item.unwrap()).collect::<Vec<_>>().await.len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_for_a_reason_is_an_error_that_names_it() {
    for role in BOTH {
        for code in [1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 4000, 4999] {
            let close = frame().close(code, "so it is");
            let (mut connection, _far) = closed_with(role, close.clone());
            assert_eq!(connection.recv().await.unwrap(), Some("last".into()));
            for round in 0..3 {
                let error = match round {
                    0 => connection.next_event().await.unwrap_err(),
                    _ => connection.recv().await.unwrap_err(),
                };
                assert_eq!(error.kind(), ErrorKind::ClosedByPeer, "{code}");
                assert_eq!(error.close_code(), Some(CloseCode::new(code)));
                let words = error.to_string();
                assert!(words.contains(&code.to_string()) && words.contains("so it is"), "{words}");
            }
            let closed = connection.wait_closed().await;
            assert_eq!(closed.initiator(), Initiator::Remote);
            let (connection, _far) = closed_with(role, close.clone());
            let (_sender, mut receiver) = connection.split();
            assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 4);
            let error = receiver.recv_ref().await.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
            // As a stream it says so once, and ends.
            let (connection, _far) = closed_with(role, close);
            let mut items: Vec<_> = connection.collect().await;
            let error = items.pop().unwrap().unwrap_err();
            assert_eq!((error.kind(), items.len()), (ErrorKind::ClosedByPeer, 1));
            assert_eq!(error.close_code(), Some(CloseCode::new(code)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_this_end_began_to_close_is_an_end_and_no_error() {
    for role in BOTH {
        for (sent, answer) in [(1000, 1000), (1011, 1011), (4000, 4000), (1000, 4001), (1001, 1011)]
        {
            let (mut connection, far) = connect(role, &Config::server());
            connection.start_close(CloseCode::new(sent), "enough").unwrap();
            settle().await;
            far.says_all([frame().text("last"), frame().close(answer, "so be it")]);
            far.ends();
            assert_eq!(connection.recv().await.unwrap(), Some("last".into()));
            assert_eq!(connection.recv().await.unwrap(), None, "{sent}, {answer}");
            assert!(connection.next().await.is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_begin_to_close_twice_is_refused_the_second_time() {
    for role in BOTH {
        for remote in [false, true] {
            let (mut connection, far) = connect(role, &Config::server());
            let sender = connection.sender();
            if remote {
                far.says(frame().close(1000, "mine"));
                assert_eq!(connection.recv().await.unwrap(), None);
            } else {
                connection.start_close(CloseCode::NORMAL, "first").unwrap();
            }
            for result in [
                connection.start_close(CloseCode::NORMAL, "second"),
                sender.start_close(CloseCode::new(4000), "third"),
            ] {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
            }
            let error = connection.start_close(CloseCode::new(1006), "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSend);
            settle().await;
            let heard = far.hears();
            assert_eq!(heard.len(), 1);
            assert_eq!(heard[0].close().reason(), if remote { "" } else { "first" });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn to_close_what_is_closing_waits_for_its_end() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &Config::server());
        let sender = connection.sender();
        connection.start_close(CloseCode::new(4000), "first").unwrap();
        let closing = tokio::spawn(async move {
            let whole = connection.close(CloseCode::NORMAL, "second").await.unwrap();
            (whole, connection)
        });
        let half = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "third").await });
        settle().await;
        assert!(!closing.is_finished() && !half.is_finished(), "it waits");
        far.says(frame().close(4000, ""));
        far.ends();
        let (closed, mut connection) = closing.await.unwrap();
        assert_eq!(closed.cause(), CloseCause::Handshake);
        assert_eq!(closed.sent().unwrap().code(), CloseCode::new(4000));
        assert_eq!(half.await.unwrap().unwrap(), closed);
        assert_eq!(connection.close(CloseCode::NORMAL, "").await.unwrap(), closed);
        assert_eq!(far.hears().len(), 1);
    }
}
