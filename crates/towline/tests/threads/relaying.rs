//! Relays: publishers wait for room on the way to a broker, and none is left waiting.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use shuttle::future::yield_now;
use towline::relaying::Outbox;

use crate::model::{any, check, join, poll_times, spawn};

/// What each message counts.
const COST: usize = 100;

fn push(outbox: &Outbox) -> bool {
    outbox.push("a".into(), Bytes::from_static(&[0; 35])).is_ok()
}

/// No time passes: whoever is not woken waits for ever.
#[test]
fn no_publisher_is_left_waiting_for_room() {
    check(|| async {
        // They wait while there are more than two messages.
        let outbox = Arc::new(Outbox::new(4 * COST));
        let taking = spawn({
            let outbox = outbox.clone();
            async move {
                let mut taken = 0;
                while outbox.next().await.is_some() {
                    taken += 1;
                    if any(2) == 0 {
                        yield_now().await;
                    }
                }
                taken
            }
        });
        let publishers = (0..6).map(|_| {
            let outbox = outbox.clone();
            spawn(async move {
                let mut pushed = 0;
                for _ in 0..2 {
                    pushed += usize::from(push(&outbox));
                    let Some(mut room) = outbox.room() else { continue };
                    if any(3) == 0 {
                        // Dropped at an arbitrary time, or when it has been woken.
                        poll_times(Pin::new(&mut room), 1 + any(2), any(2) == 0).await;
                    } else {
                        room.await;
                    }
                }
                pushed
            })
        });
        let publishers: Vec<_> = publishers.collect();
        let pushed: usize = join(publishers).await.into_iter().sum();
        outbox.end();
        assert_eq!(taking.await.unwrap(), pushed);
    });
}

/// The broker is lost, and comes back, while they wait.
#[test]
fn no_publisher_waits_for_a_broker_that_is_lost() {
    check(|| async {
        let outbox = Arc::new(Outbox::new(4 * COST));
        let publishers = (0..3).map(|_| {
            let outbox = outbox.clone();
            spawn(async move {
                for _ in 0..2 {
                    push(&outbox);
                    if let Some(room) = outbox.room() {
                        room.await;
                    }
                }
            })
        });
        let publishers: Vec<_> = publishers.collect();
        let losing = spawn({
            let outbox = outbox.clone();
            async move {
                for _ in 0..2 {
                    outbox.shut();
                    yield_now().await;
                    outbox.open();
                    yield_now().await;
                }
                outbox.shut();
            }
        });
        losing.await.unwrap();
        join(publishers).await;
    });
}
