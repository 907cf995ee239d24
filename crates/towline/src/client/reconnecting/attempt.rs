//! What the program's function knows of an attempt.

use crate::client::reconnecting::ending::Ending;

/// An attempt to connect: what the function of a [reconnecting client](crate::Client::reconnecting) gets.
///
/// [`Reconnecting`](crate::Reconnecting) and [`Dial`](crate::Dial) have examples.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub(crate) number: u32,
    pub(crate) is_first: bool,
    pub(crate) last: Option<Ending>,
}

impl Attempt {
    /// Returns the number of this attempt since the last stable connection, or since the beginning: 1 for
    /// the first. [`Backoff::stable_after`](crate::Backoff::stable_after()) says what is stable.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether this is the first attempt of all, so that nothing has failed before.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns how the attempt or the connection before this one ended. `None` for the first attempt.
    pub fn last(&self) -> Option<&Ending> {
        self.last.as_ref()
    }
}
