//! Those who wait for a connection are served in the order of coming, and nobody who loses interest
//! without a word holds up those behind.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::{FutureExt as _, SinkExt};
use towline::{CloseCode, Config, Frame, Keepalive, Message, Opcode, Role, Sender};
use towline_kit::event::close_frame;

use crate::wire::{Far, connect, settle};

const MARK: usize = 1000;
const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn config() -> Config {
    Config::server().send_high_water_mark(MARK).keepalive(None::<Keepalive>)
}

/// Somebody who waits, and then neither goes on waiting nor says so.
type Idler = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The ways to wait: a message of one's own is behind each.
const WAYS: usize = 8;

/// Something that waits in this way, and is as large as the mark. `None` once a `Sink` alone waits.
fn idler(way: usize, mut sender: Sender) -> Idler {
    let large = || Message::binary(vec![2; MARK]);
    match way {
        0 => Box::pin(async move { drop(sender.send(large()).await) }),
        1 => Box::pin(async move { drop(sender.send_frame(Frame::binary(vec![2; MARK])).await) }),
        2 => Box::pin(async move { drop(sender.ping("idle").await) }),
        3 => Box::pin(async move { drop(SinkExt::send(&mut sender, large()).await) }),
        4 => Box::pin(async move { drop(SinkExt::feed(&mut sender, large()).await) }),
        5 => Box::pin(async move { sender.flushed().await }),
        6 => Box::pin(async move { drop(SinkExt::flush(&mut sender).await) }),
        _ => Box::pin(async move {
            std::future::poll_fn(|cx| sender.poll_ready_unpin(cx)).await.unwrap();
            // It is ready now, and says no more.
            std::future::pending::<()>().await;
        }),
    }
}

/// So many wait to send. Returns how many of them have.
async fn crowd(sender: &Sender, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        let mut sender = sender.clone();
        let way = tasks.len() % 3;
        tasks.push(tokio::spawn(async move {
            match way {
                0 => sender.send(vec![1; MARK]).await.unwrap(),
                1 => SinkExt::send(&mut sender, vec![1; MARK].into()).await.unwrap(),
                _ => sender.send_frame(Frame::binary(vec![1; MARK])).await.unwrap(),
            }
        }));
    }
    settle().await;
    tasks
}

async fn all_are_served(tasks: Vec<tokio::task::JoinHandle<()>>, far: &Far, what: &str) {
    // In pieces at first, then all at once.
    for _ in 0..40 {
        far.takes(MARK / 3);
        settle().await;
    }
    far.flows();
    settle().await;
    let stranded = tasks.iter().filter(|task| !task.is_finished()).count();
    assert_eq!(stranded, 0, "{what}");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_kept_and_not_polled_strands_nobody() {
    for role in BOTH {
        for way in 0..WAYS {
            for after_room in [false, true] {
                let (connection, far) = connect(role, &config());
                far.stalls_behind(&connection.sender()).await;
                connection.send(vec![0; MARK]).await.unwrap();
                let sender = connection.sender();
                let mut idlers: Vec<_> = (0..3).map(|_| idler(way, sender.clone())).collect();
                let (first, others) = idlers.split_first_mut().unwrap();
                assert!(first.now_or_never().is_none(), "it waits");
                let mut tasks = crowd(&sender, 50).await;
                for other in others {
                    assert!(other.now_or_never().is_none(), "it waits");
                    tasks.extend(crowd(&sender, 25).await);
                }
                if after_room {
                    far.takes(MARK);
                    settle().await;
                }
                let what = format!("{role:?}, way {way}, {after_room}");
                all_are_served(tasks, &far, &what).await;
                drop(idlers);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_strands_nobody() {
    for role in BOTH {
        for way in 0..WAYS {
            for after_room in [false, true] {
                let (connection, far) = connect(role, &config());
                far.stalls_behind(&connection.sender()).await;
                connection.send(vec![0; MARK]).await.unwrap();
                let sender = connection.sender();
                let mut idle = idler(way, sender.clone());
                assert!((&mut idle).now_or_never().is_none(), "it waits");
                let tasks = crowd(&sender, 100).await;
                if after_room {
                    far.takes(MARK + 50);
                    // As far as to be woken, and not to be polled.
                    tokio::task::yield_now().await;
                }
                drop(idle);
                all_are_served(tasks, &far, &format!("{role:?}, way {way}, {after_room}")).await;
            }
        }
    }
}

/// `SinkExt::send` and `feed` borrow the sink, which goes on living when they are dropped.
#[tokio::test(start_paused = true)]
async fn a_sink_whose_future_was_dropped_strands_nobody() {
    for is_whole in [true, false] {
        let (mut connection, far) = connect(Role::Server, &config());
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; MARK]).await.unwrap();
        let mut other = connection.sender();
        if is_whole {
            assert!(SinkExt::feed(&mut connection, "x".into()).now_or_never().is_none());
        } else {
            assert!(SinkExt::send(&mut other, "x".into()).now_or_never().is_none());
        }
        let tasks = crowd(&connection.sender(), 100).await;
        all_are_served(tasks, &far, &format!("whole: {is_whole}")).await;
        SinkExt::send(&mut other, "and it goes on".into()).await.unwrap();
        assert_eq!(far.hears().last().unwrap().text(), "and it goes on");
    }
}

/// A continuation waits in a line of its own, behind which all others stand.
#[tokio::test(start_paused = true)]
async fn who_does_not_go_on_with_a_message_of_frames_holds_up_no_more_than_that_message() {
    let (connection, far) = connect(Role::Server, &config());
    let maker = connection.sender();
    maker.send_frame(Frame::binary("begun").fin(false)).await.unwrap();
    far.stalls_behind(&connection.sender()).await;
    maker.send_frame(Frame::continuation(vec![0; MARK]).fin(false)).await.unwrap();
    let mut kept = Box::pin(maker.send_frame(Frame::continuation("kept").fin(false)));
    let mut dropped = Box::pin(maker.send_frame(Frame::continuation("dropped").fin(false)));
    assert!(kept.as_mut().now_or_never().is_none() && dropped.as_mut().now_or_never().is_none());
    drop(dropped);
    let tasks = crowd(&connection.sender(), 9).await;
    far.flows();
    settle().await;
    maker.send_frame(Frame::continuation("end")).await.unwrap();
    all_are_served(tasks, &far, "behind a message of frames").await;
    drop(kept);
}

/// What others have queued can't go before it is finished, and leaves no room.
#[tokio::test(start_paused = true)]
async fn who_makes_a_message_of_frames_can_ping_and_close_whatever_others_have_queued() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let maker = connection.sender();
        maker.send_frame(Frame::text("begun").fin(false)).await.unwrap();
        while connection.try_send(vec![1; MARK / 10]).is_ok() {}
        let tasks = crowd(&connection.sender(), 10).await;
        let at_once = "it waits for nobody";
        maker.ping("a ping").now_or_never().expect(at_once).unwrap();
        let by_hand = maker.send_frame(Frame::new(Opcode::Ping, "by hand"));
        by_hand.now_or_never().expect(at_once).unwrap();
        settle().await;
        let heard: Vec<_> = far.hears().into_iter().map(|it| (it.opcode(), it.payload)).collect();
        let [begun, ping, by_hand] =
            [(Opcode::Text, "begun"), (Opcode::Ping, "a ping"), (Opcode::Ping, "by hand")]
                .map(|(opcode, payload)| (opcode, payload.as_bytes().to_vec()));
        assert_eq!(heard, [begun, ping, by_hand], "{role:?}");
        assert!(tasks.iter().all(|task| !task.is_finished()), "there is no room");
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let close = Frame::new(Opcode::Close, [1000u16.to_be_bytes().as_slice(), b"bye"].concat());
        maker.send_frame(close).now_or_never().expect(at_once).unwrap();
        assert!(!connection.is_open());
        settle().await;
        assert_eq!(far.hears().last().unwrap().close(), close_frame(CloseCode::NORMAL, "bye"));
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_there_first_is_served_first_whatever_way_it_waits() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; MARK]).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (mut tasks, mut idlers) = (Vec::new(), Vec::new());
        for index in 0..40u8 {
            let (mut sender, order) = (connection.sender(), order.clone());
            let mut idle = idler(usize::from(index) % WAYS, connection.sender());
            assert!((&mut idle).now_or_never().is_none());
            idlers.push(idle);
            tasks.push(tokio::spawn(async move {
                let bytes = vec![index; MARK];
                match index % 3 {
                    0 => sender.send(bytes).await.unwrap(),
                    1 => sender.feed(bytes.into()).await.unwrap(),
                    _ => sender.send_frame(Frame::binary(bytes)).await.unwrap(),
                }
                order.lock().unwrap().push(index);
            }));
            settle().await;
        }
        for _ in 0..200 {
            far.takes(MARK / 3);
            settle().await;
        }
        far.flows();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..40).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_others_wait_stands_behind_them() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; MARK]).await.unwrap();
    let sender = connection.sender();
    let first = tokio::spawn(async move { sender.send("first").await });
    settle().await;
    // There is room, and the one who waits does not know yet.
    far.flows();
    let mut second = Box::pin(connection.send("second"));
    let _ = second.as_mut().now_or_never();
    settle().await;
    second.now_or_never();
    first.await.unwrap().unwrap();
    settle().await;
    let heard = far.hears();
    assert_eq!([heard[1].text(), heard[2].text()], ["first", "second"]);
}

/// One that was passed over, and comes after all, has lost nothing.
#[tokio::test(start_paused = true)]
async fn who_was_kept_and_is_polled_after_all_is_served() {
    for way in 0..WAYS - 1 {
        let (connection, far) = connect(Role::Server, &config());
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; MARK]).await.unwrap();
        let mut idle = idler(way, connection.sender());
        assert!((&mut idle).now_or_never().is_none());
        let tasks = crowd(&connection.sender(), 10).await;
        all_are_served(tasks, &far, "behind one that is kept").await;
        idle.await;
    }
}

/// Others send without a pause: what is waited for is what was sent before.
#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_what_was_sent_before_it_and_no_more() {
    for role in BOTH {
        for by_sink in [false, true] {
            let (connection, far) = connect(role, &config());
            far.stalls_behind(&connection.sender()).await;
            connection.send(vec![0; MARK]).await.unwrap();
            let mut mine = connection.sender();
            let flushing = tokio::spawn(async move {
                if by_sink {
                    SinkExt::send(&mut mine, "mine".into()).await.unwrap();
                } else {
                    mine.send("mine").await.unwrap();
                    mine.flushed().await;
                }
            });
            settle().await;
            let others: Vec<_> = (0..3)
                .map(|_| {
                    let sender = connection.sender();
                    tokio::spawn(
                        async move { while sender.send(vec![1; MARK / 2]).await.is_ok() {} },
                    )
                })
                .collect();
            settle().await;
            for _ in 0..20 {
                far.takes(MARK / 2);
                settle().await;
                assert!(connection.queued_bytes() > 0, "others send without a pause");
            }
            assert!(flushing.is_finished(), "{role:?}, by sink: {by_sink}");
            connection.abort(CloseCode::NORMAL, "");
            for other in others {
                other.await.unwrap();
            }
        }
    }
}

/// Who does not wait gets what is left by those who do.
#[tokio::test(start_paused = true)]
async fn who_tries_again_and_again_starves_nobody_who_waits() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; MARK]).await.unwrap();
        let tasks = crowd(&connection.sender(), 10).await;
        let trying = connection.sender();
        let trying = tokio::spawn(async move {
            loop {
                let _ = trying.try_send(vec![3; MARK]);
                tokio::task::yield_now().await;
            }
        });
        for _ in 0..60 {
            far.takes(MARK);
            settle().await;
        }
        let served = tasks.iter().filter(|task| task.is_finished()).count();
        trying.abort();
        assert_eq!(served, 10, "{role:?}");
        // There is room, and who waits for it does not know yet.
        far.flows();
        settle().await;
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; MARK]).await.unwrap();
        let waiting = connection.sender();
        let waiting = tokio::spawn(async move { waiting.send("first").await });
        settle().await;
        far.flows();
        let trying = tokio::spawn(async move { connection.try_send("second").is_ok() });
        let overtaken = trying.await.unwrap();
        waiting.await.unwrap().unwrap();
        assert!(!overtaken, "try_send goes where send would wait");
    }
}
