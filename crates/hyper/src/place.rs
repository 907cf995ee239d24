//! The places for connections whose first request is incomplete.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Makes this many places.
pub(crate) fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)))
}

/// The place of a connection, shared by clones. It becomes free once one of them leaves it or all
/// are dropped.
#[derive(Clone)]
pub(crate) struct Place(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Place {
    /// Waits for a place.
    pub(crate) async fn of(places: &Arc<Semaphore>) -> Self {
        let permit = places.clone().acquire_owned().await.expect("never closed");
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Frees the place.
    pub(crate) fn leave(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Resolves at the deadline if the place is still taken; otherwise never.
    pub(crate) fn late(&self, deadline: Option<Instant>) -> impl Future<Output = ()> + use<> {
        // A clone would keep the place.
        let place = Arc::downgrade(&self.0);
        async move {
            if let Some(deadline) = deadline {
                tokio::time::sleep_until(deadline).await;
                let place = place.upgrade();
                let is_held = |place: &Mutex<Option<_>>| {
                    place.lock().unwrap_or_else(PoisonError::into_inner).is_some()
                };
                if place.is_some_and(|place| is_held(&place)) {
                    return;
                }
            }
            std::future::pending().await
        }
    }
}
