//! The scenario broadcast: the first connection publishes, and all others receive.

use std::sync::atomic::Ordering;
use std::time::Duration;

use towline::{Connection, Error, Sender};

use crate::bench::echo::LATE;
use crate::bench::pace::Pace;
use crate::bench::payload::{Place, find_stamp, stamp};
use crate::bench::run::Stage;
use crate::bench::worker::Worker;

/// How long the publisher of a closed loop waits for deliveries before it counts them as missing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The kind of the failure that this is.
pub(crate) const UNDELIVERED: &str = "undelivered";

/// Runs a connection until it ends.
pub(crate) async fn run(worker: &Worker, number: u64, connection: Connection) {
    let is_publisher = number == 0;
    if !is_publisher {
        worker.count_receiver(true);
    }
    let (sender, mut receiver) = connection.split();
    let receiving = async {
        loop {
            match receiver.recv_ref().await {
                // The publisher may get its own messages.
                Ok(Some(_)) if is_publisher => {}
                Ok(Some(message)) => {
                    // What has no stamp is an answer to a subscription, for example.
                    let Some((is_measured, due)) = find_stamp(message.as_bytes()) else {
                        worker.tally.lock().ignored += 1;
                        continue;
                    };
                    let now = worker.run.unix(worker.run.now());
                    let latency = now.saturating_sub(due);
                    worker.tally.lock().received(message.len(), is_measured, Some(latency));
                    worker.run.deliveries.add();
                }
                Ok(None) => return None,
                Err(error) => return Some(error),
            }
        }
    };
    let error: Option<Error> = if is_publisher {
        let publishing = async {
            if let Err(error) = publish(worker, &sender).await {
                worker.give_up("can't make a timer", &error);
            }
            std::future::pending().await
        };
        tokio::select! {
            error = receiving => error,
            error = publishing => error,
        }
    } else {
        receiving.await
    };
    if !is_publisher {
        worker.count_receiver(false);
    }
    worker.ended(sender.closed().as_ref(), error.as_ref());
}

/// Until when the server last kept a message waiting.
#[derive(Debug, Default)]
struct Blocked(u64);

impl Blocked {
    /// A message was to be sent then, and was sent now.
    fn sent(&mut self, begun: u64, now: u64) {
        if now.saturating_sub(begun) > LATE {
            self.0 = now;
        }
    }

    /// How late the generator is with a message. What was due while another one waited is late because of
    /// the server.
    fn late(&self, due: u64, now: u64) -> Option<u64> {
        Some(now.saturating_sub(due)).filter(|late| *late > LATE && due >= self.0)
    }
}

/// Publishes until nothing more is to be sent.
async fn publish(worker: &Worker, sender: &Sender) -> std::io::Result<()> {
    let run = &*worker.run;
    let mut seq = run.first_seq();
    if let Some(rate) = run.plan.rate {
        let mut pace = Pace::begin(run, rate, 0.0).await?;
        let mut blocked = Blocked::default();
        while let Some(due) = pace.next(run).await? {
            if let Some(late) = blocked.late(due, run.now()) {
                let mut counts = worker.tally.lock();
                if counts.is_measuring() {
                    counts.whole.late_sends += 1;
                    counts.whole.latest_send = counts.whole.latest_send.max(late);
                }
            }
            let begun = run.now();
            if !publish_one(worker, sender, seq, due).await {
                return Ok(());
            }
            blocked.sent(begun, run.now());
            seq += 1;
        }
        return Ok(());
    }
    run.reached(Stage::WarmUp).await;
    let in_flight = run.plan.in_flight as u64;
    while run.stage() < Stage::Drain && publish_one(worker, sender, seq, run.now()).await {
        seq += 1;
        let deliveries = &run.deliveries;
        let receivers = deliveries.receivers.load(Ordering::Relaxed);
        let expected = deliveries.expected.load(Ordering::Relaxed);
        let wanted = expected.saturating_sub((in_flight - 1).saturating_mul(receivers));
        if tokio::time::timeout(PATIENCE, deliveries.reach(wanted)).await.is_err() {
            let done = deliveries.done.load(Ordering::Relaxed);
            deliveries.expected.store(done, Ordering::Relaxed);
            worker.tally.lock().failed(UNDELIVERED, || {
                let missing = expected.saturating_sub(done);
                format!(
                    "{missing} deliveries were missing after {PATIENCE:?}, and publishing went on"
                )
            });
        }
        // Without receivers there is nothing to wait for.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Publishes a message. Returns whether more can be sent.
async fn publish_one(worker: &Worker, sender: &Sender, seq: u64, due: u64) -> bool {
    let run = &*worker.run;
    let message = {
        let mut counts = worker.tally.lock();
        if !counts.is_sending() || counts.is_measuring() && !run.take_ticket() {
            return false;
        }
        let stamp = stamp(counts.is_measuring(), run.unix(due));
        let connections = run.plan.all_connections;
        let place = Place { connection: 0, seq, connections, stamp: &stamp };
        let (made, bytes) = run.plan.source.make(place);
        let receivers = run.deliveries.receivers.load(Ordering::Relaxed);
        run.deliveries.expected.fetch_add(receivers, Ordering::Relaxed);
        if counts.sent(bytes) {
            // Those that arrive are subtracted at the end.
            counts.whole.totals.unanswered += receivers;
        }
        run.plan.source.message(&made).to_message()
    };
    sender.send(message).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_reads_slowly_does_not_make_the_generator_late() {
        let mut blocked = Blocked::default();
        assert_eq!(blocked.late(10 * LATE, 12 * LATE), Some(2 * LATE));
        blocked.sent(12 * LATE, 12 * LATE + 1);
        blocked.sent(13 * LATE, 90 * LATE);
        assert_eq!(blocked.late(14 * LATE, 90 * LATE), None);
        assert_eq!(blocked.late(89 * LATE, 95 * LATE), None);
        assert_eq!(blocked.late(91 * LATE, 95 * LATE), Some(4 * LATE));
    }
}
