//! When things are due in an open loop.

use std::time::Duration;

use crate::bench::run::{Run, Stage};
use crate::bench::ticker::Ticker;

/// Waits shorter than this cost more than they are worth: what is due meanwhile is late by up to this,
/// and that counts as latency.
const SHORTEST_WAIT: u64 = 50_000;

/// Waits longer than this would keep the end of the run waiting.
const LONGEST_WAIT: u64 = 50_000_000;

/// How many things are done in a row before other tasks have their turn.
const LONGEST_BURST: u64 = 128;

/// Times at a constant rate.
#[derive(Debug)]
pub(crate) struct Pace {
    start: u64,
    /// Nanoseconds between two times.
    gap: f64,
    /// The number of the next time. Fractions spread several paces evenly.
    next: f64,
    in_a_row: u64,
    ticker: Ticker,
}

impl Pace {
    /// Times at this rate, beginning with the warm-up. `offset` is a part of the gap.
    pub(crate) async fn begin(run: &Run, per_second: f64, offset: f64) -> std::io::Result<Self> {
        let ticker = Ticker::new()?;
        run.reached(Stage::WarmUp).await;
        let gap = 1e9 / per_second;
        Ok(Self { start: run.now(), gap, next: offset, in_a_row: 0, ticker })
    }

    /// Waits for the next time. Returns it, or `None` at the end of the run.
    // A number of nanoseconds is exact enough as an f64 for a hundred days.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) async fn next(&mut self, run: &Run) -> std::io::Result<Option<u64>> {
        let due = self.start.saturating_add((self.next * self.gap) as u64);
        loop {
            if run.stage() >= Stage::Drain {
                return Ok(None);
            }
            let now = run.now();
            if due <= now {
                break;
            }
            self.in_a_row = 0;
            let wait = (due - now).clamp(SHORTEST_WAIT, LONGEST_WAIT);
            self.ticker.wait(Duration::from_nanos(wait)).await?;
        }
        self.in_a_row += 1;
        if self.in_a_row >= LONGEST_BURST {
            self.in_a_row = 0;
            tokio::task::yield_now().await;
        }
        self.next += 1.0;
        Ok(Some(due))
    }
}
