//! The names that are taken.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who is in which room. Clones share the names.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashSet<(String, String)>>>);

/// The right to a name in a room, given back when it is dropped.
pub(crate) struct Claim {
    names: Names,
    room_and_name: (String, String),
}

impl Names {
    /// Returns `None` if somebody has the name.
    pub(crate) fn claim(&self, room: String, name: String) -> Option<Claim> {
        let room_and_name = (room, name);
        let is_free = self.taken().insert(room_and_name.clone());
        is_free.then(|| Claim { names: self.clone(), room_and_name })
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    pub(crate) fn room(&self) -> &str {
        &self.room_and_name.0
    }

    pub(crate) fn name(&self) -> &str {
        &self.room_and_name.1
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.names.taken().remove(&self.room_and_name);
    }
}
