//! What connecting is at: the first thing to know when it takes too long.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is being done just now.
#[derive(Default)]
pub(crate) struct Progress(Mutex<Doing>);

#[derive(Default)]
struct Doing {
    what: String,
    /// Where a redirect led.
    redirected: Option<String>,
}

impl Progress {
    /// From here on this is being done.
    pub(crate) fn is(&self, what: impl Into<String>) {
        self.lock().what = what.into();
    }

    /// From here on it is done for the target of a redirect.
    pub(crate) fn is_redirected(&self, to: &str) {
        self.lock().redirected = Some(to.to_owned());
    }

    /// What is being done, in words that go on with a sentence.
    pub(crate) fn words(&self) -> String {
        let doing = self.lock();
        let what = &doing.what;
        match &doing.redirected {
            Some(to) => format!("{what}, after a redirect to {to}"),
            None => what.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
