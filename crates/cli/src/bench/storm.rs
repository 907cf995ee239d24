//! The scenario storm: connect, close, and connect again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use towline::CloseCode;

use crate::bench::run::Stage;
use crate::bench::worker::{Worker, lost};

/// How long a task waits after a failure, so that a server which refuses is not asked in a busy loop.
const PAUSE: Duration = Duration::from_millis(20);

/// When handshakes are due, if there is a rate. It begins anew after the ramp, during which there were too
/// few tasks to keep it.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// How many were due during the ramp, and how many after it.
    ramp: AtomicU64,
    next: AtomicU64,
    /// When the ramp was over.
    begun: OnceLock<u64>,
}

impl Schedule {
    /// When the next handshake is due, in nanoseconds since the beginning of the run.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn next(&self, is_ramp: bool, now: u64, rate: f64) -> u64 {
        let (start, next) = match is_ramp {
            true => (0, &self.ramp),
            false => (*self.begun.get_or_init(|| now), &self.next),
        };
        let number = next.fetch_add(1, Ordering::Relaxed);
        start.saturating_add((number as f64 * 1e9 / rate) as u64)
    }
}

/// Connects and closes until nothing more is to be sent.
pub(crate) async fn run(worker: &Worker, schedule: &Schedule) {
    let plan = &worker.run.plan;
    if plan.messages.is_some() && plan.ramp.is_zero() {
        // What is begun before comes on top of --messages.
        worker.run.reached(Stage::WarmUp).await;
    }
    let mut is_settled = false;
    while worker.run.stage() < Stage::Drain {
        let Some(start) = turn(worker, schedule).await else { break };
        let is_measured = {
            let mut counts = worker.tally.lock();
            if !counts.is_sending() || counts.is_measuring() && !worker.run.take_ticket() {
                break;
            }
            counts.outstanding += 1;
            counts.is_measuring()
        };
        let is_connected = once(worker, start, is_measured).await;
        {
            let mut counts = worker.tally.lock();
            counts.outstanding = counts.outstanding.saturating_sub(1);
            if !std::mem::replace(&mut is_settled, true) {
                counts.settled += 1;
            }
        }
        if !is_connected {
            tokio::time::sleep(PAUSE).await;
        }
    }
    if !is_settled {
        worker.tally.lock().settled += 1;
    }
}

/// Waits until a handshake is due. Returns when that was, if it is to be measured from then.
async fn turn(worker: &Worker, schedule: &Schedule) -> Option<Option<u64>> {
    let Some(rate) = worker.run.plan.rate else { return Some(None) };
    let is_ramp = || worker.run.stage() == Stage::Ramp;
    let draw = |is_ramp| schedule.next(is_ramp, worker.run.now(), rate);
    let mut is_of_ramp = is_ramp();
    let mut due = draw(is_of_ramp);
    let mut is_late = true;
    while worker.run.now() < due {
        if is_of_ramp && !is_ramp() {
            is_of_ramp = false;
            due = draw(is_of_ramp);
            continue;
        }
        is_late = false;
        if worker.run.stage() >= Stage::Drain {
            return None;
        }
        let wait = (due - worker.run.now().min(due)).min(50_000_000);
        tokio::time::sleep(Duration::from_nanos(wait)).await;
    }
    // The timer is late by up to a millisecond, which is not the server's fault.
    Some(is_late.then_some(due))
}

/// Connects and closes. Returns whether there was a connection.
async fn once(worker: &Worker, due: Option<u64>, is_measured: bool) -> bool {
    let Some((mut connection, took)) = worker.connect(due).await else {
        // One that is given up at the end did not fail.
        let is_failure = is_measured && worker.run.stage() < Stage::Close;
        worker.tally.lock().whole.totals.failed += u64::from(is_failure);
        return false;
    };
    {
        let mut counts = worker.tally.lock();
        counts.open += 1;
        if is_measured {
            worker.opened(&mut counts, &connection, took);
        } else {
            counts.part.opened += 1;
            counts.ever_opened += 1;
        }
    }
    let closed = connection.close(CloseCode::NORMAL, "").await;
    let mut counts = worker.tally.lock();
    counts.open = counts.open.saturating_sub(1);
    match closed {
        Ok(closed) if closed.is_clean() => {}
        closed => {
            counts.whole.totals.lost += u64::from(is_measured);
            let (closed, error) = match closed {
                Ok(closed) => (Some(closed), None),
                Err(error) => (connection.closed(), Some(error)),
            };
            lost(&mut counts, closed.as_ref(), error.as_ref());
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ramp_could_not_do_is_not_due_after_it() {
        const SECOND: u64 = 1_000_000_000;
        let schedule = Schedule::default();
        // One task alone makes two of them in ten seconds.
        assert_eq!(schedule.next(true, 0, 10.0), 0);
        assert_eq!(schedule.next(true, 5 * SECOND, 10.0), SECOND / 10);
        assert_eq!(schedule.next(false, 10 * SECOND, 10.0), 10 * SECOND);
        assert_eq!(schedule.next(false, 11 * SECOND, 10.0), 10 * SECOND + SECOND / 10);
    }
}
