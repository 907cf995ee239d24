//! The scenario echo: each message is answered with the same one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use towline::{Connection, Receiver, Sender};

use crate::bench::flight::Flight;
use crate::bench::pace::Pace;
use crate::bench::run::{Run, Stage};
use crate::bench::tally::Counts;
use crate::bench::worker::Worker;

/// Messages are late if they are sent this much after they were due, in nanoseconds.
pub(crate) const LATE: u64 = 1_000_000;

/// A connection: the task that receives on it and, in an open loop, the one that sends share it.
#[derive(Debug)]
pub(crate) struct Lane {
    sender: Sender,
    flight: Mutex<Flight>,
    is_open: AtomicBool,
}

/// The connections of a thread in an open loop.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<Vec<Arc<Lane>>>);

impl Lane {
    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Receives on a connection until it ends. In a closed loop it sends, too.
pub(crate) async fn run(
    worker: &Worker,
    number: u64,
    connection: Connection,
    lanes: Option<&Lanes>,
) {
    let run = &*worker.run;
    let (sender, mut receiver) = connection.split();
    let flight = Mutex::new(Flight::new(number, run.first_seq(), run.plan.skip));
    let lane = Arc::new(Lane { sender, flight, is_open: AtomicBool::new(true) });
    if let Some(lanes) = lanes {
        lanes.0.lock().unwrap_or_else(PoisonError::into_inner).push(lane.clone());
    }
    let error = exchange(worker, &lane, &mut receiver, lanes.is_none()).await.err();
    lane.is_open.store(false, Ordering::Relaxed);
    // Never both locks in the other order.
    let left = lane.flight().len() as u64;
    {
        let mut counts = worker.tally.lock();
        counts.outstanding = counts.outstanding.saturating_sub(left);
    }
    worker.ended(receiver.closed().as_ref(), error.as_ref());
}

/// Sends, in a closed loop, and receives until the connection ends.
async fn exchange(
    worker: &Worker,
    lane: &Lane,
    receiver: &mut Receiver,
    is_closed_loop: bool,
) -> towline::Result<()> {
    let run = &*worker.run;
    if is_closed_loop {
        if run.plan.messages.is_some() && !hold(worker, lane, receiver).await? {
            return Ok(());
        }
        fill(run, &mut lane.flight(), &mut worker.tally.lock(), run.now());
    }
    loop {
        let is_queued = lane.flight().queue(run, &lane.sender);
        if !receive(worker, lane, receiver, is_queued, is_closed_loop).await? {
            return Ok(());
        }
    }
}

/// Sends nothing until the ramp is over: what is sent in it would come on top of `--messages`. Returns
/// whether the connection is still open.
async fn hold(worker: &Worker, lane: &Lane, receiver: &mut Receiver) -> towline::Result<bool> {
    let ramp = worker.run.reached(Stage::WarmUp);
    tokio::pin!(ramp);
    loop {
        tokio::select! {
            biased;
            () = &mut ramp => return Ok(true),
            // A greeting, and the end.
            received = receive(worker, lane, receiver, true, false) => {
                if !received? {
                    return Ok(false);
                }
            }
        }
    }
}

/// Receives a message, or sends one that waits for room. Returns whether the connection is still open.
async fn receive(
    worker: &Worker,
    lane: &Lane,
    receiver: &mut Receiver,
    is_queued: bool,
    is_closed_loop: bool,
) -> towline::Result<bool> {
    let run = &*worker.run;
    let received = if is_queued {
        receiver.recv_ref().await?
    } else {
        let waiting = lane.flight().waiting(run);
        let Some(waiting) = waiting else { return Ok(true) };
        // Both: a server that reads nothing until its answers are read would otherwise stand still.
        tokio::select! {
            biased;
            received = receiver.recv_ref() => received?,
            sent = lane.sender.send(waiting) => {
                if sent.is_ok() {
                    lane.flight().queued_one();
                }
                return Ok(true);
            }
        }
    };
    let Some(answer) = received else { return Ok(false) };
    let now = run.now();
    let (mut flight, mut counts) = (lane.flight(), worker.tally.lock());
    flight.answered(run, &mut counts, answer, now);
    if is_closed_loop {
        fill(run, &mut flight, &mut counts, now);
    }
    Ok(true)
}

/// Adds messages until as many are unanswered as can be.
fn fill(run: &Run, flight: &mut Flight, counts: &mut Counts, now: u64) {
    while flight.len() < run.plan.in_flight
        && counts.is_sending()
        && (!counts.is_measuring() || run.take_ticket())
    {
        flight.add(run, counts, now);
    }
}

/// Sends messages when they are due, over the connections in turn.
pub(crate) async fn send(
    worker: &Worker,
    lanes: &Lanes,
    per_second: f64,
    offset: f64,
) -> std::io::Result<()> {
    let run = &*worker.run;
    let mut pace = Pace::begin(run, per_second, offset).await?;
    let mut turn = 0;
    while let Some(due) = pace.next(run).await? {
        let Some(lane) = next(lanes, &mut turn) else {
            worker.tally.lock().failed("no_connection", || {
                "a message was due, and no connection was open".to_owned()
            });
            continue;
        };
        let mut flight = lane.flight();
        {
            let mut counts = worker.tally.lock();
            if !counts.is_sending() || counts.is_measuring() && !run.take_ticket() {
                return Ok(());
            }
            let most = run.plan.most_unanswered;
            if counts.outstanding >= most {
                counts.failed("overload", || {
                    format!("a message was not sent, as {most} are unanswered on a thread")
                });
                continue;
            }
            flight.add(run, &mut counts, due);
            let late = run.now().saturating_sub(due);
            // One that waits for room is late because of the server.
            if late > LATE && counts.is_measuring() {
                counts.whole.late_sends += 1;
                counts.whole.latest_send = counts.whole.latest_send.max(late);
            }
        }
        let _ = flight.queue(run, &lane.sender);
    }
    Ok(())
}

/// The next open connection. Those that have ended are removed.
fn next(lanes: &Lanes, turn: &mut usize) -> Option<Arc<Lane>> {
    let mut lanes = lanes.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !lanes.is_empty() {
        if *turn >= lanes.len() {
            *turn = 0;
        }
        if lanes[*turn].is_open.load(Ordering::Relaxed) {
            *turn += 1;
            return Some(lanes[*turn - 1].clone());
        }
        lanes.swap_remove(*turn);
    }
    None
}
