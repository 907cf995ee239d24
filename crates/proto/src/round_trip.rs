//! Measures round trips: the time from a ping to its pong ([RFC 6455, section 5.5.3]).
//!
//! A keepalive ping, or one of a round trip, has a payload of eight bytes: a tag that the peer can't
//! guess, and a number. The pong "must have identical Application data", so that others are none:
//! unsolicited pongs serve as a heartbeat of one direction, and .NET's `ClientWebSocket` sends empty
//! ones by default. They are signs of life, as every byte is, but measure nothing. "If an endpoint
//! receives a Ping frame and has not yet sent Pong frame(s) in response to previous Ping frame(s), the
//! endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame": so a pong
//! also answers all pings before its own.
//!
//! [RFC 6455, section 5.5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.3

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::stats::RoundTrip;
use crate::wire::mask;

/// The round trips of a connection. It has no clock: the caller passes the time.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    /// The last and the smoothed one, in microseconds.
    measured: Option<(NonZeroU32, NonZeroU32)>,
    /// Exists only while a pong is awaited.
    awaited: Option<Box<Awaited>>,
}

#[derive(Debug)]
struct Awaited {
    tag: [u8; 4],
    /// The number of the last ping.
    last: u32,
    /// The pings without an answer, in order, and when each was sent.
    asked: Vec<(u32, Instant)>,
    /// The round trips that are known, and not taken yet.
    answered: Vec<(u32, Duration)>,
    /// The latest keepalive ping, if it is without an answer, and when it was sent.
    keepalive: Option<(u32, Instant)>,
    /// The payload of the last ping of another kind, and the number of the last ping before it.
    other: Option<(Bytes, u32)>,
}

impl RoundTrips {
    /// Returns the measurements so far.
    pub(crate) fn measured(&self) -> Option<RoundTrip> {
        let (last, smoothed) = self.measured?;
        let duration = |micros: NonZeroU32| Duration::from_micros(micros.get().into());
        Some(RoundTrip { last: duration(last), smoothed: duration(smoothed) })
    }

    /// Records a keepalive ping, and returns its payload.
    pub(crate) fn begin_keepalive(&mut self, now: Instant) -> Bytes {
        let awaited = self.awaited();
        let (number, payload) = awaited.next();
        awaited.keepalive = Some((number, now));
        payload
    }

    /// Records a ping of another kind, which can be the only one that the peer answers.
    pub(crate) fn handle_other_ping(&mut self, payload: &Bytes) {
        if let Some(awaited) = &mut self.awaited
            && !awaited.asked.is_empty()
        {
            awaited.other = Some((payload.clone(), awaited.last));
        }
    }

    /// Begins a round trip. Returns its number and the payload of its ping.
    pub(crate) fn begin(&mut self, now: Instant) -> (u32, Bytes) {
        let awaited = self.awaited();
        let (number, payload) = awaited.next();
        awaited.asked.push((number, now));
        (number, payload)
    }

    /// Returns how long a round trip took, once it is over.
    pub(crate) fn take(&mut self, number: u32) -> Option<Duration> {
        let answered = &mut self.awaited.as_mut()?.answered;
        let at = answered.iter().position(|(known, _)| *known == number)?;
        let (_, duration) = answered.swap_remove(at);
        self.rest();
        Some(duration)
    }

    /// Forgets a round trip that nobody waits for any more.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(awaited) = &mut self.awaited {
            awaited.asked.retain(|(known, _)| *known != number);
            awaited.answered.retain(|(known, _)| *known != number);
            self.rest();
        }
    }

    /// Returns whether a round trip is over and not taken yet.
    pub(crate) fn is_over(&self, number: u32) -> bool {
        let is_it = |(known, _): &(u32, Duration)| *known == number;
        self.awaited.as_ref().is_some_and(|awaited| awaited.answered.iter().any(is_it))
    }

    /// Handles a pong. One that answers nothing has no effect.
    pub(crate) fn handle_pong(&mut self, now: Instant, payload: &[u8]) {
        let Some(awaited) = &mut self.awaited else { return };
        let mut sample = None;
        if let Some(number) = awaited.number_of(payload) {
            let mut asked = awaited.asked.iter().chain(&awaited.keepalive);
            let own = asked.find(|(asked, _)| *asked == number);
            sample = own.map(|(_, at)| now.saturating_duration_since(*at));
            awaited.answer(number, now);
        } else if let Some((_, number)) = awaited.other.take_if(|(known, _)| known == payload) {
            awaited.answer(number, now);
        }
        if let Some(sample) = sample {
            self.note(sample);
        }
        self.rest();
    }

    fn note(&mut self, sample: Duration) {
        let micros = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX);
        let last = NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN);
        let smoothed = self.measured.map_or(last, |(_, before)| {
            let sum = 7 * u64::from(before.get()) + u64::from(last.get()) + 4;
            u32::try_from(sum / 8).ok().and_then(NonZeroU32::new).unwrap_or(last)
        });
        self.measured = Some((last, smoothed));
    }

    fn awaited(&mut self) -> &mut Awaited {
        self.awaited.get_or_insert_with(|| {
            Box::new(Awaited {
                tag: mask::random_key(),
                last: 0,
                asked: Vec::new(),
                answered: Vec::new(),
                keepalive: None,
                other: None,
            })
        })
    }

    /// Frees the memory, unless a pong is awaited.
    fn rest(&mut self) {
        let is_over = |awaited: &Awaited| {
            awaited.asked.is_empty() && awaited.answered.is_empty() && awaited.keepalive.is_none()
        };
        if self.awaited.as_deref().is_some_and(is_over) {
            self.awaited = None;
        }
    }
}

impl Awaited {
    /// Returns the number and the payload of the next ping.
    fn next(&mut self) -> (u32, Bytes) {
        self.last = self.last.wrapping_add(1);
        let [a, b, c, d] = self.tag;
        let [e, f, g, h] = self.last.to_be_bytes();
        (self.last, Bytes::copy_from_slice(&[a, b, c, d, e, f, g, h]))
    }

    /// Returns the number of the ping that had this payload.
    fn number_of(&self, payload: &[u8]) -> Option<u32> {
        let number = payload.strip_prefix(&self.tag)?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        (1..=self.last).contains(&number).then_some(number)
    }

    /// A pong has answered this ping, and all before it.
    fn answer(&mut self, number: u32, now: Instant) {
        let Self { asked, answered, keepalive, .. } = self;
        keepalive.take_if(|(of, _)| *of <= number);
        asked.retain(|(of, at)| {
            let is_answered = *of <= number;
            if is_answered {
                answered.push((*of, now.saturating_duration_since(*at)));
            }
            !is_answered
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::start;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_pong_ends_its_round_trip_and_those_before_it() {
        let (start, mut trips) = (start(), RoundTrips::default());
        let (first, _) = trips.begin(start);
        let (second, payload) = trips.begin(start + MILLI);
        let (third, _) = trips.begin(start + 2 * MILLI);
        trips.handle_pong(start + 5 * MILLI, &payload);
        assert_eq!(trips.take(first), Some(5 * MILLI));
        assert_eq!(trips.take(second), Some(4 * MILLI));
        assert_eq!(trips.take(third), None);
        assert_eq!(trips.measured().map(|trip| trip.last), Some(4 * MILLI));
        trips.forget(third);
        assert!(trips.awaited.is_none(), "nothing is kept");
    }

    #[test]
    fn a_forgotten_ping_is_the_only_one_that_is_answered() {
        let (start, mut trips) = (start(), RoundTrips::default());
        let (first, _) = trips.begin(start);
        let (second, payload) = trips.begin(start);
        trips.forget(second);
        trips.handle_pong(start + MILLI, &payload);
        assert_eq!(trips.take(first), Some(MILLI));
        assert_eq!(trips.measured(), None, "it is not known when that ping was sent");
    }

    #[test]
    fn pongs_that_answer_nothing_have_no_effect() {
        let (start, mut trips) = (start(), RoundTrips::default());
        trips.handle_pong(start, b"");
        let (number, payload) = trips.begin(start);
        let mut wrong = payload.to_vec();
        wrong[0] ^= 1;
        let mut never_sent = payload.to_vec();
        never_sent[7] = 2;
        let longer = [&payload[..], b"0"].concat();
        for pong in [&b""[..], b"hello", &payload[..7], &longer, &wrong, &never_sent] {
            trips.handle_pong(start + MILLI, pong);
            assert!(!trips.is_over(number), "{pong:?}");
        }
        assert_eq!((trips.take(number), trips.measured()), (None, None));
        trips.handle_pong(start + 2 * MILLI, &payload);
        trips.handle_pong(start + 3 * MILLI, &payload);
        assert_eq!(trips.take(number), Some(2 * MILLI));
    }

    #[test]
    fn other_pings_answer_for_those_before_them() {
        let (start, mut trips) = (start(), RoundTrips::default());
        let (first, _) = trips.begin(start);
        trips.handle_other_ping(&Bytes::from_static(b"hello"));
        let (second, _) = trips.begin(start);
        trips.handle_pong(start + MILLI, b"hello");
        assert_eq!((trips.take(first), trips.take(second)), (Some(MILLI), None));
    }

    #[test]
    fn a_keepalive_ping_is_answered_by_its_own_pong_only() {
        let (start, mut trips) = (start(), RoundTrips::default());
        let first = trips.begin_keepalive(start);
        let mut wrong = first.to_vec();
        wrong[3] ^= 1;
        for pong in [&b""[..], b"heartbeat", &first[..7], &wrong] {
            trips.handle_pong(start + MILLI, pong);
            assert_eq!(trips.measured(), None, "{pong:?}");
        }
        trips.handle_pong(start + 8 * MILLI, &first);
        assert_eq!(trips.measured().map(|trip| trip.last), Some(8 * MILLI));
        assert!(trips.awaited.is_none(), "nothing is kept");
        // Late, and twice.
        let second = trips.begin_keepalive(start);
        trips.handle_pong(start + 9 * MILLI, &first);
        trips.handle_pong(start + 16 * MILLI, &second);
        trips.handle_pong(start + 17 * MILLI, &second);
        let smoothed = trips.measured().map(|trip| trip.smoothed);
        assert_eq!(smoothed, Some(9 * MILLI), "7/8 of 8 ms, and 1/8 of 16 ms");
        assert!(trips.awaited.is_none(), "nothing is kept");
    }

    #[test]
    fn of_several_keepalive_pings_the_latest_is_measured() {
        let (start, mut trips) = (start(), RoundTrips::default());
        let first = trips.begin_keepalive(start);
        let second = trips.begin_keepalive(start + 20 * MILLI);
        trips.handle_pong(start + 21 * MILLI, &first);
        assert_eq!(trips.measured(), None);
        trips.handle_pong(start + 25 * MILLI, &second);
        assert_eq!(trips.measured().map(|trip| trip.last), Some(5 * MILLI));
    }

    #[test]
    fn keepalive_pings_and_round_trips_answer_for_each_other() {
        let (start, mut trips) = (start(), RoundTrips::default());
        let (number, _) = trips.begin(start);
        let keepalive = trips.begin_keepalive(start + MILLI);
        trips.handle_pong(start + 3 * MILLI, &keepalive);
        assert_eq!(trips.take(number), Some(3 * MILLI));
        assert_eq!(trips.measured().map(|trip| trip.last), Some(2 * MILLI));
        trips.begin_keepalive(start);
        let (number, payload) = trips.begin(start);
        trips.handle_pong(start + MILLI, &payload);
        assert_eq!(trips.take(number), Some(MILLI));
        assert!(trips.awaited.is_none(), "the peer answers only the latest ping");
    }
}
