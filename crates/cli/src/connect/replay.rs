//! `--replay`: sends what the client sent in a recording.

use std::str::FromStr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::connect::input::{Input, channel};
use crate::connect::recording::Happened;

/// How fast to replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast as it was recorded.
    Times(f64),
    /// Without waiting.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let is_usable = |factor: &f64| (0.001..=1e6).contains(factor);
        text.parse().ok().filter(is_usable).map(Self::Times).ok_or_else(|| {
            "write a number from 0.001 to 1000000, such as 2 or 0.5, or max".to_owned()
        })
    }
}

impl Speed {
    /// How long after the start to send what was sent at this time.
    fn delay(self, at: Duration) -> Duration {
        match self {
            // A recording may have any time, and a year is long enough.
            Self::Times(factor) => Duration::try_from_secs_f64(at.as_secs_f64() / factor)
                .unwrap_or(LONGEST)
                .min(LONGEST),
            Self::Max => Duration::ZERO,
        }
    }
}

const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Sends at the recorded times, from now on.
pub(crate) fn inputs(sent: Vec<(Duration, Happened)>, speed: Speed) -> mpsc::Receiver<Input> {
    let (input, inputs) = channel();
    tokio::spawn(async move {
        let start = Instant::now();
        for (at, happened) in sent {
            sleep_until(start + speed.delay(at)).await;
            let item = match happened {
                Happened::Message(message) => Input::Message(message),
                Happened::Ping(payload) => Input::Ping(payload),
                // Clients answer the pings of this connection, not those of the recorded one.
                Happened::Pong(_) => continue,
            };
            if input.send(item).await.is_err() {
                return;
            }
        }
    });
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_speed_is_a_factor_or_as_fast_as_possible() {
        assert_eq!("2".parse(), Ok(Speed::Times(2.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for wrong in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
        assert_eq!(Speed::Times(1e-3).delay(Duration::MAX), LONGEST);
    }

    async fn times(speed: Speed) -> Vec<u128> {
        let sent = [100, 300, 200, 400]
            .map(|at| (Duration::from_millis(at), Happened::Message(at.to_string().into())));
        let start = Instant::now();
        let mut inputs = inputs(sent.into(), speed);
        let mut times = Vec::new();
        while let Some(Input::Message(_)) = inputs.recv().await {
            times.push(start.elapsed().as_millis());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_sent_at_their_times() {
        assert_eq!(times(Speed::Times(1.0)).await, [100, 300, 300, 400]);
        assert_eq!(times(Speed::Times(2.0)).await, [50, 150, 150, 200]);
        assert_eq!(times(Speed::Max).await, [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn pings_are_sent_and_pongs_are_not() {
        let payload = Bytes::from_static(b"\xff");
        let sent = vec![
            (Duration::ZERO, Happened::Pong(payload.clone())),
            (Duration::ZERO, Happened::Ping(payload.clone())),
        ];
        let mut inputs = inputs(sent, Speed::Max);
        assert!(matches!(inputs.recv().await, Some(Input::Ping(sent)) if sent == payload));
        assert!(inputs.recv().await.is_none());
    }
}
