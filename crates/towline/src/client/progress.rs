//! The step that connecting is at, for the error when it takes too long.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The current step.
#[derive(Default)]
pub(crate) struct Progress(Mutex<Doing>);

#[derive(Default)]
struct Doing {
    what: String,
    /// The target of the last redirect.
    redirected: Option<String>,
}

impl Progress {
    /// Sets the current step.
    pub(crate) fn is(&self, what: impl Into<String>) {
        self.lock().what = what.into();
    }

    /// Sets the target of a redirect.
    pub(crate) fn is_redirected(&self, to: &str) {
        self.lock().redirected = Some(to.to_owned());
    }

    /// The current step, as a part of a sentence.
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
