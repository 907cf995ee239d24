//! The scenarios push and idle: connections receive what the server sends, if anything.

use towline::Connection;

use crate::bench::results::Scenario;
use crate::bench::worker::Worker;

/// Receives on a connection until it ends.
pub(crate) async fn run(worker: &Worker, connection: Connection) {
    let is_push = worker.run.plan.scenario == Scenario::Push;
    let mut skip = worker.run.plan.skip;
    let mut last = None;
    let (_sender, mut receiver) = connection.split();
    let error = loop {
        match receiver.recv_ref().await {
            Ok(Some(_)) if skip > 0 => {
                skip -= 1;
                worker.tally.lock().ignored += 1;
            }
            Ok(Some(message)) => {
                let now = worker.run.now();
                let gap = last.filter(|_| is_push).map(|last| now.saturating_sub(last));
                last = Some(now);
                let mut counts = worker.tally.lock();
                let is_measured = counts.is_measuring() && worker.run.take_ticket();
                counts.received(message.len(), is_measured, gap);
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    worker.ended(receiver.closed().as_ref(), error.as_ref());
}
