//! Counts, one set for each thread. They are put together once in a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::bench::results::{Failures, LONGEST, Phase, Totals, coarse, precise};

/// The most kinds of errors that are told apart. Kinds can have the server's numbers in them.
const MOST_KINDS: usize = 100;

/// The most characters of an error that are kept.
const LONGEST_EXAMPLE: usize = 500;

/// The counts of a thread.
#[derive(Debug)]
pub(crate) struct Tally(Mutex<Counts>);

/// What is counted.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) phase: Phase,
    /// Since the last collection.
    pub(crate) part: Part,
    pub(crate) whole: Whole,
    /// Connections that are open.
    pub(crate) open: u64,
    /// Attempts to connect that have ended, well or not.
    pub(crate) settled: u64,
    /// Messages without an answer so far, or attempts to connect in the scenario storm.
    pub(crate) outstanding: u64,
    /// Messages that were received, and do not count.
    pub(crate) ignored: u64,
    /// Connections that were opened in the whole run.
    pub(crate) ever_opened: u64,
}

/// What happened in an interval.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) opened: u64,
    pub(crate) errors: u64,
    pub(crate) latencies: Histogram<u64>,
}

/// What happened in the run. Totals and latencies are those of the measured phase.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) totals: Totals,
    pub(crate) errors: BTreeMap<String, Failures>,
    pub(crate) close_codes: BTreeMap<u16, u64>,
    pub(crate) handshakes: Histogram<u64>,
    pub(crate) latencies: Histogram<u64>,
    pub(crate) late_sends: u64,
    pub(crate) latest_send: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Counts {
            phase: Phase::Ramp,
            part: Part::new(),
            whole: Whole::new(),
            open: 0,
            settled: 0,
            outstanding: 0,
            ignored: 0,
            ever_opened: 0,
        }))
    }

    /// Hardly ever waits: others look only a few times per second.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    pub(crate) fn new() -> Self {
        Self {
            messages_sent: 0,
            messages_received: 0,
            bytes_sent: 0,
            bytes_received: 0,
            opened: 0,
            errors: 0,
            latencies: coarse(),
        }
    }

    /// Adds another one, which becomes empty.
    pub(crate) fn take(&mut self, other: &mut Self) {
        self.messages_sent += std::mem::take(&mut other.messages_sent);
        self.messages_received += std::mem::take(&mut other.messages_received);
        self.bytes_sent += std::mem::take(&mut other.bytes_sent);
        self.bytes_received += std::mem::take(&mut other.bytes_received);
        self.opened += std::mem::take(&mut other.opened);
        self.errors += std::mem::take(&mut other.errors);
        // Of the same bounds.
        let _ = self.latencies.add(&other.latencies);
        other.latencies.reset();
    }
}

impl Whole {
    pub(crate) fn new() -> Self {
        Self {
            totals: Totals::default(),
            errors: BTreeMap::new(),
            close_codes: BTreeMap::new(),
            handshakes: precise(),
            latencies: precise(),
            late_sends: 0,
            latest_send: 0,
        }
    }

    /// Adds another one.
    pub(crate) fn add(&mut self, other: &Self) {
        let (totals, others) = (&mut self.totals, &other.totals);
        totals.opened += others.opened;
        totals.failed += others.failed;
        totals.lost += others.lost;
        totals.compressed += others.compressed;
        totals.messages_sent += others.messages_sent;
        totals.messages_received += others.messages_received;
        totals.bytes_sent += others.bytes_sent;
        totals.bytes_received += others.bytes_received;
        totals.unanswered += others.unanswered;
        totals.mismatched += others.mismatched;
        totals.sent_before += others.sent_before;
        totals.received_before += others.received_before;
        for (kind, failures) in &other.errors {
            note(&mut self.errors, kind.clone(), failures.count, || failures.example.clone());
        }
        for (code, count) in &other.close_codes {
            *self.close_codes.entry(*code).or_default() += count;
        }
        // Of the same bounds.
        let _ = self.handshakes.add(&other.handshakes);
        let _ = self.latencies.add(&other.latencies);
        self.late_sends += other.late_sends;
        self.latest_send = self.latest_send.max(other.latest_send);
    }
}

/// What all threads have counted until now.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) settled: u64,
    pub(crate) open: u64,
    pub(crate) ever_opened: u64,
    pub(crate) outstanding: u64,
    pub(crate) received: u64,
}

impl Look {
    pub(crate) fn at(tallies: &[Arc<Tally>]) -> Self {
        let mut look = Self::default();
        for tally in tallies {
            let counts = tally.lock();
            look.settled += counts.settled;
            look.open += counts.open;
            look.ever_opened += counts.ever_opened;
            look.outstanding += counts.outstanding;
            look.received += counts.whole.totals.messages_received + counts.whole.totals.opened;
        }
        look
    }
}

/// Counts failures of a kind.
fn note(
    errors: &mut BTreeMap<String, Failures>,
    kind: String,
    count: u64,
    example: impl FnOnce() -> String,
) {
    if let Some(failures) = errors.get_mut(&kind) {
        failures.count += count;
        return;
    }
    let is_other = errors.len() >= MOST_KINDS;
    let failures = errors.entry(if is_other { "other".to_owned() } else { kind }).or_default();
    failures.count += count;
    if failures.example.is_empty() {
        failures.example = example().chars().take(LONGEST_EXAMPLE).collect();
    }
}

impl Counts {
    /// Whether messages of now are measured.
    pub(crate) fn is_measuring(&self) -> bool {
        self.phase == Phase::Measured
    }

    /// Whether more can be sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.phase != Phase::Drain
    }

    /// A message was sent, which is to be answered. Returns whether it is measured.
    pub(crate) fn asked(&mut self, bytes: usize) -> bool {
        self.outstanding += 1;
        self.sent(bytes)
    }

    /// A message was sent. Returns whether it is measured.
    pub(crate) fn sent(&mut self, bytes: usize) -> bool {
        self.part.messages_sent += 1;
        self.part.bytes_sent += bytes as u64;
        if self.is_measuring() {
            self.whole.totals.messages_sent += 1;
            self.whole.totals.bytes_sent += bytes as u64;
        } else {
            self.whole.totals.sent_before += 1;
        }
        self.is_measuring()
    }

    /// A message was received, of those that are measured or not. `latency` is missing if it has none.
    pub(crate) fn received(&mut self, bytes: usize, is_measured: bool, latency: Option<u64>) {
        // An answer to the warm-up belongs to none of the intervals after it.
        let is_later = matches!(self.phase, Phase::Measured | Phase::Drain);
        if is_measured {
            self.whole.totals.messages_received += 1;
            self.whole.totals.bytes_received += bytes as u64;
        } else if is_later {
            return;
        } else {
            self.whole.totals.received_before += 1;
        }
        self.part.messages_received += 1;
        self.part.bytes_received += bytes as u64;
        if let Some(latency) = latency {
            let latency = latency.clamp(1, LONGEST);
            self.part.latencies.saturating_record(latency);
            if is_measured {
                self.whole.latencies.saturating_record(latency);
            }
        }
    }

    /// Something failed.
    pub(crate) fn failed(&mut self, kind: &str, example: impl FnOnce() -> String) {
        self.failed_times(1, kind, example);
    }

    /// Something failed this often.
    pub(crate) fn failed_times(
        &mut self,
        count: u64,
        kind: &str,
        example: impl FnOnce() -> String,
    ) {
        if count > 0 {
            self.part.errors += count;
            note(&mut self.whole.errors, kind.to_owned(), count, example);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_the_warm_up_are_in_no_later_interval() {
        let tally = Tally::new();
        let mut counts = tally.lock();
        counts.phase = Phase::WarmUp;
        assert!(!counts.asked(10));
        assert!(!counts.asked(10));
        counts.received(10, false, Some(5));
        assert_eq!((counts.part.messages_sent, counts.part.messages_received), (2, 1));
        counts.part = Part::new();
        counts.phase = Phase::Measured;
        assert!(counts.asked(10));
        counts.received(10, false, Some(5));
        counts.received(10, true, Some(7));
        assert_eq!((counts.part.messages_sent, counts.part.messages_received), (1, 1));
        let totals = counts.whole.totals;
        assert_eq!((totals.messages_sent, totals.messages_received), (1, 1));
        assert_eq!((totals.sent_before, totals.received_before), (2, 1));
        assert_eq!(counts.whole.latencies.max(), 7);
    }

    #[test]
    fn a_server_can_not_make_up_any_number_of_kinds() {
        let tally = Tally::new();
        let mut counts = tally.lock();
        for number in 0..1000 {
            counts.failed(&format!("closed_{number}"), || "é".repeat(10_000));
        }
        assert_eq!(counts.whole.errors.len(), MOST_KINDS + 1);
        assert_eq!(counts.whole.errors["other"].count, 900);
        assert_eq!(counts.whole.errors["closed_0"].example.chars().count(), LONGEST_EXAMPLE);
    }
}
