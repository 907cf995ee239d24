//! Whether a server has stopped answering, for runs that end with `--messages`.

use std::time::Duration;

/// So many gaps between messages can pass where nothing is missing.
const GAPS: f64 = 4.0;

/// What was received, and when.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    received: u64,
    /// When something was last received, or the stage began.
    last: u64,
    /// The longest time between two looks that saw something new.
    longest: u64,
    /// When nothing was missing, last.
    complete: u64,
    is_complete: bool,
}

impl Silence {
    /// Takes note of how much was received until now, and of whether all that was sent is answered.
    /// Times are nanoseconds since the beginning of the run; `since` is the beginning of the stage.
    pub(crate) fn look(&mut self, received: u64, is_complete: bool, since: u64, now: u64) {
        if self.last < since {
            (self.last, self.received) = (now, received);
        } else if received != self.received {
            self.longest = self.longest.max(now.saturating_sub(self.last));
            (self.last, self.received) = (now, received);
        }
        self.is_complete = is_complete;
        if is_complete {
            self.complete = now;
        }
    }

    /// Whether nothing more will come. Answers that are missing are waited for as long as `patience`.
    /// If none is missing, the next message may not be due for some gaps of the rate (in nanoseconds),
    /// or of a server that sends by itself.
    #[expect(clippy::cast_precision_loss, reason = "a factor of patience")]
    pub(crate) fn is_over(&self, patience: Duration, gap: f64, now: u64) -> bool {
        let patience = patience.as_nanos() as f64;
        if self.is_complete {
            let gaps = GAPS * gap.max(self.longest as f64);
            return now.saturating_sub(self.last) as f64 > patience.max(gaps);
        }
        now.saturating_sub(self.last.max(self.complete)) as f64 > patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn a_message_that_is_not_due_yet_is_no_silence() {
        let mut silence = Silence::default();
        // One each ten seconds, answered at once.
        for second in 1..=35 {
            let is_due = second % 10 == 0;
            silence.look(second / 10, !is_due, 1, second * SECOND);
            assert!(!silence.is_over(PATIENCE, 10e9, second * SECOND), "{second}");
        }
        silence.look(3, true, 1, 71 * SECOND);
        assert!(silence.is_over(PATIENCE, 10e9, 71 * SECOND));
    }

    #[test]
    fn an_answer_that_is_missing_is_waited_for_from_when_it_was_asked_for() {
        let mut silence = Silence::default();
        silence.look(1, true, 1, SECOND);
        silence.look(1, true, 1, 9 * SECOND);
        for (second, is_over) in [(10, false), (13, false), (15, true)] {
            silence.look(1, false, 1, second * SECOND);
            assert_eq!(silence.is_over(PATIENCE, 10e9, second * SECOND), is_over, "{second}");
        }
    }

    #[test]
    fn a_server_that_pushes_seldom_is_given_some_of_its_gaps() {
        let mut silence = Silence::default();
        for (second, received) in [(1, 0), (4, 1), (7, 2), (10, 2), (16, 2)] {
            silence.look(received, true, 1, second * SECOND);
            assert!(!silence.is_over(PATIENCE, 0.0, second * SECOND), "{second}");
        }
        assert!(silence.is_over(PATIENCE, 0.0, 20 * SECOND));
    }
}
