//! The current time, for work that is done at once.

use tokio::time::Instant;

/// The current time, read when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Moment(Option<Instant>);

impl Moment {
    #[inline]
    pub(crate) fn now(&mut self) -> Instant {
        *self.0.get_or_insert_with(Instant::now)
    }
}
