//! Pings that wait for their pongs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The most pings to wait for; the oldest are dropped.
const MOST: usize = 64;

/// The pings that the user sent, and when.
#[derive(Debug, Default)]
pub(crate) struct Pings(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    count: u64,
    awaiting: VecDeque<(Bytes, Instant)>,
}

impl Pings {
    /// Records a ping that is sent now. Returns its payload: this text, or a generated one.
    pub(crate) fn start(&self, text: Option<String>) -> Bytes {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.count += 1;
        let payload = Bytes::from(text.unwrap_or_else(|| format!("ping {}", sent.count)));
        sent.awaiting.push_back((payload.clone(), Instant::now()));
        if sent.awaiting.len() > MOST {
            sent.awaiting.pop_front();
        }
        payload
    }

    /// How long the ping that this pong answers took, if there is one. A pong also answers all
    /// pings before that.
    pub(crate) fn answered(&self, payload: &Bytes) -> Option<Duration> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = sent.awaiting.iter().position(|(sent, _)| sent == payload)?;
        let (_, at) = sent.awaiting.drain(..=index).next_back()?;
        Some(at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_answers_its_ping_and_those_before() {
        let pings = Pings::default();
        let (first, second) = (pings.start(None), pings.start(Some("two".to_owned())));
        assert_ne!(first, second);
        assert!(pings.answered(&Bytes::from_static(b"keepalive")).is_none());
        assert!(pings.answered(&second).is_some());
        assert!(pings.answered(&first).is_none());
    }

    #[test]
    fn unanswered_pings_are_forgotten_in_time() {
        let pings = Pings::default();
        let first = pings.start(None);
        for _ in 0..MOST {
            pings.start(None);
        }
        assert!(pings.answered(&first).is_none());
    }
}
