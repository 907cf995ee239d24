//! A stream that panics takes down the one that called it, and leaves nobody waiting.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

use towline::{Config, Result};

use crate::model::{any, check, join, spawn};
use crate::wire::connect;

/// What comes of something that may end in the stream's panic, which is no panic of the test's.
async fn survives<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(panic) if panic.is::<()>() => Poll::Ready(None),
        Err(panic) => resume_unwind(panic),
    })
    .await
}

async fn panics() {
    let config = Config::server().keepalive(None).send_timeout(None).send_high_water_mark(20);
    let (connection, far) = connect(&config);
    far.panics_after(any(4));
    let (sender, mut receiver) = connection.split();
    let mut tasks = Vec::from([0, 1].map(|_| {
        let sender = sender.clone();
        spawn(survives(async move {
            let sends = async || -> Result<()> {
                loop {
                    match any(2) {
                        0 => sender.send("a message").await?,
                        _ => sender.ping("?").await?,
                    }
                }
            };
            sends().await.unwrap_err();
            sender.flushed().await;
            sender.wait_closed().await;
        }))
    }));
    tasks.push(spawn(survives(async move { while let Ok(Some(_)) = receiver.recv().await {} })));
    tasks.push(spawn(survives(async move {
        sender.wait_closed().await;
    })));
    let peer = spawn(async move { far.hears_all().await });
    join(tasks).await;
    peer.await.unwrap();
}

#[test]
fn a_stream_that_panics_leaves_nobody_waiting() {
    check(panics);
}

/// Nobody does anything afterwards that the stream's end could be noticed by.
#[test]
fn a_stream_that_panics_in_all_that_is_sent_leaves_nobody_waiting() {
    check(|| async {
        let config = Config::server().keepalive(None).send_timeout(None);
        let (connection, far) = connect(&config);
        far.panics_after(0);
        let (sender, mut receiver) = connection.split();
        let (own, flushing) = (sender.clone(), sender.clone());
        let receiving = spawn(survives(async move {
            receiver.recv().await.unwrap_err();
        }));
        let sending = spawn(survives(async move {
            let _ = own.send("a message").await;
        }));
        let flushing = spawn(survives(async move { flushing.flushed().await }));
        survives(sender.wait_closed()).await;
        join([receiving, sending, flushing]).await;
        drop(sender);
        far.hears_all().await;
    });
}
