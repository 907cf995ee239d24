//! The places for connections whose first request is incomplete.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Makes this many places.
pub(crate) fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)))
}

/// The place of a connection, shared by clones. It becomes free once one of them leaves it or all
/// are dropped.
#[derive(Clone)]
pub(crate) struct Place(Arc<Inner>);

struct Inner {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// Whether the connection has had a request.
    has_request: AtomicBool,
}

impl Place {
    /// Waits for a place.
    pub(crate) async fn of(places: &Arc<Semaphore>) -> Self {
        let permit = places.clone().acquire_owned().await.expect("never closed");
        Self(Arc::new(Inner { permit: Mutex::new(Some(permit)), has_request: false.into() }))
    }

    /// Frees the place.
    pub(crate) fn leave(&self) {
        drop(lock(&self.0.permit).take());
    }

    /// Frees the place, since a request is complete.
    pub(crate) fn leave_with_request(&self) {
        self.0.has_request.store(true, Ordering::Relaxed);
        self.leave();
    }

    /// Whether the connection has had a request.
    pub(crate) fn has_request(&self) -> bool {
        self.0.has_request.load(Ordering::Relaxed)
    }

    /// Resolves at the deadline if the place is still taken; otherwise never.
    pub(crate) fn late(&self, deadline: Instant) -> impl Future<Output = ()> + use<> {
        // A clone would keep the place.
        let place = Arc::downgrade(&self.0);
        async move {
            tokio::time::sleep_until(deadline).await;
            let place = place.upgrade();
            if place.is_some_and(|place| lock(&place.permit).is_some()) {
                return;
            }
            std::future::pending().await
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
