//! Publishers that wait for room on the way to a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use towline::relaying::{Outbox, PushError};
use towline::topics::RelayFuture;

/// What each message counts.
const COST: usize = 100;

/// Publishers wait while there are more than five messages.
const MOST: usize = 10 * COST;

fn push(outbox: &Outbox) -> Result<(), PushError> {
    outbox.push("a".into(), Bytes::from_static(&[0; 35]))
}

fn full() -> Outbox {
    let outbox = Outbox::new(MOST);
    while push(&outbox).is_ok() {}
    outbox
}

fn take(outbox: &Outbox, count: usize) {
    for _ in 0..count {
        outbox.try_next().unwrap();
    }
}

/// A publisher that waits, polled by hand.
struct Publisher<'o> {
    room: RelayFuture<'o, ()>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes {
    is_woken: AtomicBool,
    count: AtomicUsize,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'o> Publisher<'o> {
    fn of(outbox: &'o Outbox) -> Self {
        let mut publisher = Self { room: outbox.room().unwrap(), wakes: Arc::default() };
        assert!(!publisher.may_go());
        publisher
    }

    fn is_woken(&self) -> bool {
        self.wakes.is_woken.load(Ordering::Relaxed)
    }

    fn may_go(&mut self) -> bool {
        self.wakes.is_woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.wakes.clone());
        self.room.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(())
    }
}

fn waiting(outbox: &Outbox, count: usize) -> Vec<Publisher<'_>> {
    (0..count).map(|_| Publisher::of(outbox)).collect()
}

/// The indices of those that are woken.
fn woken(publishers: &[Publisher<'_>]) -> Vec<usize> {
    (0..publishers.len()).filter(|index| publishers[*index].is_woken()).collect()
}

#[tokio::test(start_paused = true)]
async fn as_many_are_woken_as_there_is_room_for_in_the_order_in_which_they_came() {
    let outbox = full();
    let mut publishers = waiting(&outbox, 4);
    take(&outbox, 4);
    assert_eq!(woken(&publishers), []);
    take(&outbox, 1);
    assert_eq!(woken(&publishers), [0]);
    take(&outbox, 1);
    assert_eq!(woken(&publishers), [0, 1]);
    // There is as much room for the next one, until the first has published.
    assert!(publishers[0].may_go());
    assert_eq!(woken(&publishers), [1, 2]);
    push(&outbox).unwrap();
    assert!(publishers[1].may_go());
    push(&outbox).unwrap();
    // That was the room. Nobody overtakes the one that has found none.
    assert!(!publishers[2].may_go());
    assert_eq!(woken(&publishers), []);
    take(&outbox, 1);
    assert_eq!(woken(&publishers), [2]);
}

/// The more of them wait, the more would be woken for nothing each time.
#[tokio::test(start_paused = true)]
async fn each_of_many_publishers_is_woken_about_once() {
    const COUNT: usize = 200;
    let outbox = full();
    let mut publishers = waiting(&outbox, COUNT);
    let mut order = Vec::new();
    while order.len() < COUNT {
        let woken = woken(&publishers);
        if woken.is_empty() {
            take(&outbox, 1);
        }
        for index in woken {
            if publishers[index].may_go() {
                order.push(index);
                push(&outbox).unwrap();
            }
        }
    }
    assert_eq!(order, (0..COUNT).collect::<Vec<_>>());
    let wakes: usize =
        publishers.iter().map(|publisher| publisher.wakes.count.load(Ordering::Relaxed)).sum();
    assert!(wakes <= 3 * COUNT, "{wakes} wake-ups of {COUNT} publishers");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_leaves_its_turn_to_the_next() {
    let outbox = full();
    let mut publishers = waiting(&outbox, 3);
    take(&outbox, 5);
    assert_eq!(woken(&publishers), [0]);
    // One that is not woken leaves nothing.
    drop(publishers.remove(1));
    assert_eq!(woken(&publishers), [0]);
    drop(publishers.remove(0));
    assert_eq!(woken(&publishers), [0]);
    assert!(publishers[0].may_go());
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_later_does_not_overtake() {
    let outbox = full();
    let mut publishers = waiting(&outbox, 2);
    take(&outbox, 5);
    publishers.push(Publisher::of(&outbox));
    assert!(publishers[0].may_go());
    assert_eq!(woken(&publishers), [1]);
    assert!(publishers[1].may_go());
    assert!(publishers[2].may_go());
    assert!(outbox.room().is_none());
}

/// A future can be kept and never polled again.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_come_holds_up_nobody() {
    let outbox = full();
    let mut publishers = waiting(&outbox, 6);
    take(&outbox, 5);
    assert_eq!(woken(&publishers), [0]);
    for publisher in &mut publishers[1..] {
        push(&outbox).unwrap();
        take(&outbox, 1);
        assert!(publisher.is_woken() && publisher.may_go());
    }
}

/// No message is taken any more, as none is published.
#[tokio::test(start_paused = true)]
async fn all_may_go_when_the_queue_is_empty() {
    let outbox = full();
    let mut publishers = waiting(&outbox, 50);
    take(&outbox, 10);
    let mut gone = 0;
    while let Some(index) = woken(&publishers).first().copied() {
        assert!(publishers[index].may_go());
        gone += 1;
    }
    assert_eq!(gone, 50);
}

/// The first one has waited for a second, which is enough to know.
#[tokio::test(start_paused = true)]
async fn all_may_go_when_nothing_was_taken_for_a_second() {
    let outbox = full();
    let start = Instant::now();
    let first = outbox.room().unwrap();
    let late = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        outbox.room().unwrap().await;
    };
    tokio::join!(first, late);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}
