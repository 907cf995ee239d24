//! When which connection is next to be looked after: one timer in JavaScript serves them all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many connections.
///
/// A deadline that moves later costs nothing: it is found out when the old one is due. So data
/// that comes in, and puts keepalive off, does not touch this.
#[derive(Debug, Default)]
pub(crate) struct Timetable {
    entries: BinaryHeap<Reverse<(Instant, u32)>>,
}

impl Timetable {
    /// Has `id` looked at by `at`; returns whether it was not going to be by then. `scheduled` is
    /// what the connection remembers of it.
    pub(crate) fn schedule(
        &mut self,
        id: u32,
        at: Instant,
        scheduled: &mut Option<Instant>,
    ) -> bool {
        let is_sooner = scheduled.is_none_or(|earlier| at < earlier);
        if is_sooner {
            *scheduled = Some(at);
            self.entries.push(Reverse((at, id)));
        }
        is_sooner
    }

    /// The next entry that is due at `now`. It may be of a connection that is gone.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, u32)> {
        let &Reverse((at, _)) = self.entries.peek()?;
        if at > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|&Reverse((at, _))| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_is_first_and_a_later_deadline_is_no_entry() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut one, mut two) = (None, None);
        let mut timetable = Timetable::default();
        timetable.schedule(1, at(20), &mut one);
        timetable.schedule(2, at(5), &mut two);
        timetable.schedule(2, at(9), &mut two);
        assert_eq!((one, two), (Some(at(20)), Some(at(5))));
        assert_eq!(timetable.next(), Some(at(5)));
        assert_eq!(timetable.pop_due(at(4)), None);
        assert_eq!(timetable.pop_due(at(30)), Some((at(5), 2)));
        assert_eq!(timetable.pop_due(at(30)), Some((at(20), 1)));
        assert_eq!(timetable.pop_due(at(30)), None);
    }
}
