//! Who waits for the transport to take something is told when it has taken the last byte of that, and
//! no sooner. Over TLS nobody knows which byte that is.

use futures_util::{FutureExt as _, SinkExt};
use towline::{CloseCode, Config, Keepalive, Role};

use crate::wire::{connect, settle};

const MARK: usize = 1000;

fn config() -> Config {
    Config::server().send_high_water_mark(MARK).keepalive(None::<Keepalive>)
}

/// A stream that holds back what was written until it is flushed.
#[tokio::test(start_paused = true)]
async fn flushed_waits_for_nothing_that_is_sent_later() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls();
    connection.send(vec![0; 100]).await.unwrap();
    let sender = connection.sender();
    let flushing = tokio::spawn(async move { sender.flushed().await });
    settle().await;
    connection.send("later").await.unwrap();
    far.takes(2 + 100);
    settle().await;
    assert!(flushing.is_finished());
    assert_eq!(connection.queued_bytes(), 2 + 5);
}

/// Each waits for what was sent before it, whoever of them is polled first.
#[tokio::test(start_paused = true)]
async fn who_waits_for_less_to_be_flushed_is_done_first() {
    for role in [Role::Server, Role::Client] {
        for polled_first in 0..3 {
            let (connection, far) = connect(role, &config().send_high_water_mark(1 << 20));
            far.stalls();
            let mut flushes = Vec::new();
            let mut ends = Vec::new();
            for _ in 0..3 {
                connection.try_send(vec![1; MARK]).unwrap();
                let sender = connection.sender();
                let mut flush = Box::pin(async move { sender.flushed().await });
                assert!(flush.as_mut().now_or_never().is_none(), "it waits");
                flushes.push(Some(flush));
                ends.push(connection.queued_bytes());
            }
            // They are polled in another order than the one that they came in.
            let mut tasks = Vec::new();
            for index in (0..3).map(|index| (index + polled_first) % 3).rev() {
                tasks.push((index, tokio::spawn(flushes[index].take().unwrap())));
                settle().await;
            }
            tasks.sort_by_key(|(index, _)| *index);
            let mut taken = 0;
            for (done, end) in ends.into_iter().enumerate() {
                far.takes(end - taken - 1);
                settle().await;
                let finished = tasks.iter().filter(|(_, task)| task.is_finished()).count();
                assert_eq!(finished, done, "{role:?}, {polled_first}: a byte is missing");
                // Somebody goes on sending.
                connection.try_send(vec![2; MARK]).unwrap();
                far.takes(1);
                settle().await;
                taken = end;
                for (index, task) in &tasks {
                    assert_eq!(task.is_finished(), *index <= done, "{role:?}, {polled_first}");
                }
            }
            assert!(connection.queued_bytes() > 0, "others have sent more");
        }
    }
}

/// The transport never has nothing left to write, and says of no byte when it has gone.
#[tokio::test(start_paused = true)]
async fn flushed_ends_though_others_send_without_a_pause_to_a_peer_that_is_slow() {
    for role in [Role::Server, Role::Client] {
        let (connection, far) = connect(role, &config().send_high_water_mark(10 * MARK));
        far.stalls();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let sender = connection.sender();
                tokio::spawn(async move { while sender.send(vec![1; MARK]).await.is_ok() {} })
            })
            .collect();
        settle().await;
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let sender = connection.sender();
                tokio::spawn(async move { sender.flushed().await })
            })
            .collect();
        settle().await;
        let before = connection.queued_bytes();
        let mut taken = 0;
        while taken < before {
            assert!(waiters.iter().all(|task| !task.is_finished()), "{taken} of {before}");
            far.takes(1700);
            settle().await;
            taken += 1700;
            assert!(connection.queued_bytes() > 5 * MARK, "others send without a pause");
        }
        assert!(waiters.iter().all(tokio::task::JoinHandle::is_finished), "{role:?}");
        connection.abort(CloseCode::NORMAL, "");
        for other in others {
            other.await.unwrap();
        }
    }
}

/// Much is queued before it: that the transport has taken as much as was queued is not enough.
#[tokio::test(start_paused = true)]
async fn a_sink_is_closed_when_its_close_frame_is_written_behind_all_that_was_queued() {
    for role in [Role::Server, Role::Client] {
        let config = Config::server().send_high_water_mark(1 << 20).keepalive(None::<Keepalive>);
        let (connection, far) = connect(role, &config);
        far.stalls();
        for _ in 0..50 {
            connection.send(vec![1; 4 << 10]).await.unwrap();
        }
        let queued = connection.queued_bytes();
        assert!(queued >= 200 << 10, "{queued} bytes");
        let mut sender = connection.sender();
        let closing = tokio::spawn(async move { SinkExt::close(&mut sender).await });
        settle().await;
        assert!(!closing.is_finished(), "nothing was written");
        far.takes(queued);
        settle().await;
        assert!(!closing.is_finished(), "the close frame was not written");
        assert_eq!(far.hears().len(), 50);
        far.flows();
        settle().await;
        assert!(closing.is_finished());
        closing.await.unwrap().unwrap();
        let [close] = &far.hears()[..] else { panic!("one frame") };
        assert_eq!(close.close().code(), CloseCode::NORMAL);
    }
}
