//! A subscriber of `tracing` for one thread of a program that has many.

use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Dispatch, Subscriber};

/// The subscriber of this thread, until this is dropped.
#[must_use]
pub struct Subscribed {
    _guard: DefaultGuard,
    _second: Dispatch,
}

/// Sets the subscriber of this thread.
///
/// `tracing` decides once for each callsite whether it is on. With one dispatcher in the program,
/// it asks the thread that reaches the callsite first. In the thread of another test there is none,
/// and the callsite would stay off here too. With a second dispatcher, it asks all of them.
pub fn subscribe<S: Subscriber + Clone + Send + Sync>(subscriber: S) -> Subscribed {
    let second = Dispatch::new(subscriber.clone());
    Subscribed { _guard: set_default(subscriber), _second: second }
}
