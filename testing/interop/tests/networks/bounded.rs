//! Nothing here waits for ever.

use std::time::Duration;

/// What nothing that is awaited here takes, on a slow machine neither.
pub(crate) const TIME: Duration = Duration::from_secs(20);

/// What it comes to, or a panic that says what has not come.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(TIME, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {TIME:?}"),
    }
}
