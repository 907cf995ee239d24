//! Why a run has measured nothing although nothing failed: what it waited for, how long, and what to change.

use std::sync::Arc;

use crate::bench::broadcast::UNDELIVERED;
use crate::bench::figures::{counted, rate, time_of};
use crate::bench::results::Scenario;
use crate::bench::run::Plan;
use crate::bench::tally::Tally;

/// What there was at the end of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lack {
    /// Messages of the measured phase.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Messages without an answer, whenever they were sent.
    pub(crate) outstanding: u64,
    /// Messages that were received, and do not count.
    pub(crate) ignored: u64,
    /// Nanoseconds of the measured phase.
    pub(crate) measured: u64,
    /// Nanoseconds from its beginning to the end of the run.
    pub(crate) waited: u64,
}

impl Lack {
    /// What the threads have counted, unless something failed that says why.
    pub(crate) fn of(tallies: &[Arc<Tally>]) -> Option<Self> {
        let mut lack = Self::default();
        for tally in tallies {
            let counts = tally.lock();
            // Missing deliveries are what is to be explained.
            if counts.whole.errors.keys().any(|kind| kind != UNDELIVERED) {
                return None;
            }
            lack.sent += counts.whole.totals.messages_sent;
            lack.received += counts.whole.totals.messages_received;
            lack.outstanding += counts.outstanding;
            lack.ignored += counts.ignored;
        }
        Some(lack)
    }

    /// The kind of the failure, and why, if nothing was received.
    pub(crate) fn reason(&self, plan: &Plan) -> Option<(&'static str, String)> {
        if self.received > 0 {
            return None;
        }
        let waited = time_of(self.waited);
        // The publisher of a broadcast is in the first shard.
        let is_sender = plan.scenario != Scenario::Broadcast || plan.first == 0;
        let why = match plan.scenario {
            Scenario::Storm | Scenario::Idle => return None,
            Scenario::Push => format!(
                "no message came within {waited}: the scenario push waits for what the server sends by \
                 itself{}; --on-open TEXT subscribes to it, and --scenario echo measures a server that only \
                 answers",
                self.ignored(" (--skip)")
            ),
            Scenario::Echo if self.outstanding > 0 => format!(
                "none of {} was answered within {waited}: the scenario echo needs a server that answers \
                 each{}; --scenario push measures one that sends by itself",
                counted(self.outstanding, "message"),
                self.ignored(" (--skip)")
            ),
            Scenario::Echo | Scenario::Broadcast if is_sender && self.sent == 0 => {
                let measured = time_of(self.measured);
                let or_rate = plan.rate.map(|per_s| format!(", or --rate above {}/s", rate(per_s)));
                let why = format!(
                    "no message was to be sent in the {measured} that were measured: --duration has to be \
                     longer{}",
                    or_rate.unwrap_or_default()
                );
                return Some(("nothing_sent", why));
            }
            Scenario::Echo => return None,
            Scenario::Broadcast if is_sender => format!(
                "none of {} reached another connection within {waited}: the scenario broadcast needs a \
                 server that sends what one connection publishes to all others, as towline serve --mode \
                 broadcast does{}; --on-open TEXT subscribes, where that is needed",
                counted(self.sent, "published message"),
                self.ignored(" without a stamp")
            ),
            Scenario::Broadcast => format!(
                "no message of the publisher came within {waited}: it is in the first shard, which has to \
                 run at the same time{}",
                self.ignored(" without a stamp")
            ),
        };
        Some(("silent", why))
    }

    fn ignored(&self, which: &str) -> String {
        match self.ignored {
            0 => String::new(),
            some => format!(", and {}{which} did not count", counted(some, "message")),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn reason(options: &[&str], lack: Lack) -> Option<(&'static str, String)> {
        let plan = Plan::of_options(options);
        let second = 1_000_000_000;
        Lack { measured: 10 * second, waited: 15 * second, ..lack }.reason(&plan)
    }

    #[test]
    fn what_was_waited_for_is_told_with_the_time_and_a_way_out() {
        let nothing = Lack::default();
        let sent = Lack { sent: 4, outstanding: 4, ..nothing };
        let ignored = Lack { ignored: 1, ..sent };
        let other_shard = ["--scenario=broadcast", "--shard=2/2"];
        for (options, lack, kind, words) in [
            (
                &["--scenario=push"][..],
                nothing,
                "silent",
                &["15.0 s", "--on-open", "--scenario echo"][..],
            ),
            (&["--scenario=push"], ignored, "silent", &["1 message (--skip) did not count"]),
            (&[], sent, "silent", &["none of 4 messages", "15.0 s", "--scenario push"]),
            (&[], nothing, "nothing_sent", &["10.0 s", "--duration"]),
            (&["--rate=0.5"], nothing, "nothing_sent", &["--duration", "--rate above 0.5/s"]),
            (
                &["--scenario=broadcast"],
                sent,
                "silent",
                &["15.0 s", "--mode broadcast", "--on-open"],
            ),
            (&["--scenario=broadcast"], ignored, "silent", &["1 message without a stamp"]),
            (&["--scenario=broadcast"], nothing, "nothing_sent", &["--duration"]),
            (&other_shard, nothing, "silent", &["first shard"]),
        ] {
            let (found, why) = reason(options, lack).unwrap();
            assert_eq!(found, kind, "{options:?}: {why}");
            for word in words {
                assert!(why.contains(word), "{word} is not in {why}");
            }
        }
        for options in ["--scenario=storm", "--scenario=idle"] {
            assert_eq!(reason(&[options], nothing), None);
        }
        assert_eq!(reason(&[], Lack { received: 1, ..sent }), None);
    }
}
