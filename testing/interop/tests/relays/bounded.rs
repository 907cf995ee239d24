//! A time limit for everything that the tests await.

use std::time::Duration;

/// A limit that nothing reaches, even on a slow machine.
pub(crate) const TIME: Duration = Duration::from_secs(30);

/// The interval of polling for an event.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Returns the output of a future, or panics with the name of what did not happen in time.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(TIME, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {TIME:?}"),
    }
}
