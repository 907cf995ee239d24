//! The messages of a connection that are not answered yet, in order.

use std::collections::VecDeque;

use towline::{ErrorKind, MessageRef, Sender};

use crate::bench::payload::{Made, Place};
use crate::bench::run::Run;
use crate::bench::tally::Counts;

/// Messages of a connection: those that wait for their answer, and behind them those that wait for room
/// in the connection's queue.
#[derive(Debug)]
pub(crate) struct Flight {
    messages: VecDeque<Sent>,
    /// How many of them are queued for sending, or were sent.
    queued: usize,
    connection: u64,
    seq: u64,
    /// Messages of the server that are still ignored.
    skip: u64,
}

#[derive(Debug)]
struct Sent {
    due: u64,
    is_measured: bool,
    made: Made,
}

impl Flight {
    /// `seq` is the number of the first message.
    pub(crate) fn new(connection: u64, seq: u64, skip: u64) -> Self {
        Self { messages: VecDeque::new(), queued: 0, connection, seq, skip }
    }

    /// How many messages are without an answer.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Adds a message that is due at this time. It is counted, but not queued yet.
    pub(crate) fn add(&mut self, run: &Run, counts: &mut Counts, due: u64) {
        let connections = run.plan.all_connections;
        let place = Place { connection: self.connection, seq: self.seq, connections, stamp: "" };
        self.seq += 1;
        let (made, bytes) = run.plan.source.make(place);
        let is_measured = counts.asked(bytes);
        self.messages.push_back(Sent { due, is_measured, made });
    }

    /// Queues as many messages as there is room for. Returns whether that is all.
    pub(crate) fn queue(&mut self, run: &Run, sender: &Sender) -> bool {
        while let Some(next) = self.messages.get(self.queued) {
            match sender.try_send(run.plan.source.message(&next.made)) {
                Ok(()) => self.queued += 1,
                // Of a connection that has closed, receiving tells.
                Err(error) => return error.kind() != ErrorKind::QueueFull,
            }
        }
        true
    }

    /// The next message that waits for room.
    pub(crate) fn waiting(&self, run: &Run) -> Option<towline::Message> {
        let next = self.messages.get(self.queued)?;
        Some(run.plan.source.message(&next.made).to_message())
    }

    /// The waiting message has been queued.
    pub(crate) fn queued_one(&mut self) {
        self.queued = (self.queued + 1).min(self.messages.len());
    }

    /// Takes an answer.
    pub(crate) fn answered(
        &mut self,
        run: &Run,
        counts: &mut Counts,
        answer: MessageRef<'_>,
        now: u64,
    ) {
        if self.skip > 0 {
            self.skip -= 1;
            counts.ignored += 1;
            return;
        }
        if self.queued == 0 {
            counts.failed("unexpected", || {
                let start = beginning(answer);
                format!("a message that answers none: {start}; --skip COUNT ignores a greeting")
            });
            return;
        }
        let Some(sent) = self.messages.pop_front() else { return };
        self.queued -= 1;
        counts.outstanding = counts.outstanding.saturating_sub(1);
        let message = run.plan.source.message(&sent.made);
        let is_same = run.plan.any_answer
            || message.is_text() == answer.is_text() && message.as_bytes() == answer.as_bytes();
        let latency = is_same.then(|| now.saturating_sub(sent.due));
        counts.received(answer.len(), sent.is_measured, latency);
        if !is_same {
            counts.whole.totals.mismatched += u64::from(sent.is_measured);
            counts.failed("mismatch", || {
                let (sent, answer) = (beginning(message), beginning(answer));
                format!("the answer to {sent} is {answer}; --any-answer takes any")
            });
        }
    }
}

/// The beginning of a message, on one line.
fn beginning(message: MessageRef<'_>) -> String {
    let bytes = &message.as_bytes()[..message.len().min(40)];
    let kind = if message.is_text() { "text" } else { "binary" };
    format!("{kind} {:?} ({} bytes)", String::from_utf8_lossy(bytes), message.len())
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::bench::results::Phase;
    use crate::bench::run::{Plan, Stage};
    use crate::bench::tally::Tally;

    fn run(options: &[&str]) -> Run {
        let plan = Plan::of_options(options);
        Run::new(plan, watch::channel(Stage::Measured).1)
    }

    /// Whenever they were sent: the second one waits for room until the first has its answer.
    #[test]
    fn latency_counts_from_when_a_message_was_due() {
        let run = run(&["-m", "{{seq}}"]);
        let tally = Tally::new();
        let mut counts = tally.lock();
        counts.phase = Phase::Measured;
        let mut flight = Flight::new(0, 0, 0);
        flight.add(&run, &mut counts, 1_000);
        flight.add(&run, &mut counts, 2_000);
        flight.queued_one();
        assert_eq!(flight.waiting(&run).unwrap().as_text(), Some("1"));
        flight.answered(&run, &mut counts, MessageRef::text("0"), 1_500);
        flight.queued_one();
        flight.answered(&run, &mut counts, MessageRef::text("1"), 9_000);
        let latencies = &counts.whole.latencies;
        assert_eq!(
            (latencies.len(), latencies.count_at(500), latencies.count_at(7_000)),
            (2, 1, 1)
        );
        assert_eq!((counts.outstanding, flight.len()), (0, 0));
    }

    #[test]
    fn messages_are_numbered_after_those_that_open_the_connection() {
        let run = run(&["-m", "{{id}}", "--on-open", "{{id}}", "--on-open", "{{id}}", "-c", "10"]);
        let tally = Tally::new();
        let mut flight = Flight::new(3, run.first_seq(), 0);
        flight.add(&run, &mut tally.lock(), 1);
        // Those before were 3 and 13.
        assert_eq!(flight.waiting(&run).unwrap().as_text(), Some("23"));
    }

    #[test]
    fn an_answer_belongs_to_the_oldest_message_that_was_sent() {
        let run = run(&["-m", "{{seq}}"]);
        let tally = Tally::new();
        let mut counts = tally.lock();
        counts.phase = Phase::Measured;
        let mut flight = Flight::new(0, 0, 1);
        // A greeting, which is ignored, and a message before any was sent.
        flight.answered(&run, &mut counts, MessageRef::text("welcome"), 1);
        flight.add(&run, &mut counts, 1);
        flight.answered(&run, &mut counts, MessageRef::text("0"), 2);
        flight.queued_one();
        flight.answered(&run, &mut counts, MessageRef::text("1"), 3);
        let kinds: Vec<_> = counts.whole.errors.keys().map(String::as_str).collect();
        assert_eq!(kinds, ["mismatch", "unexpected"]);
        assert_eq!(counts.whole.totals.mismatched, 1);
        assert!(counts.whole.latencies.is_empty());
    }
}
