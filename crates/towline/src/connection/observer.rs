//! What a server learns of its connections.

use std::sync::Arc;

use towline_proto::{Closed, Stats, Traffic};

use crate::connection::info::Info;
use crate::connection::sync::Runtime;
use crate::connection::throttle::TooFast;

/// Is notified of the end of connections, of clients that are too fast, and of the memory that is held.
pub(crate) trait Observer: Send + Sync {
    /// A connection has ended. Called without its lock.
    fn closed(&self, info: &Arc<Info>, closed: &Closed, stats: &Stats);

    /// The receiver of a connection that has ended hands in these counts, which were not in the
    /// `stats` of its end. Called with the connection's lock held, so it must not lock a connection.
    fn counted_late(&self, info: &Info, received: &Traffic);

    /// A connection is dropped that has not ended: its runtime was shut down.
    fn gone(&self, _info: &Info, _stats: &Stats) {}

    /// Whether it has to be told how much memory a connection holds.
    fn is_accounting(&self) -> bool {
        false
    }

    /// The connection holds this many bytes now. Returns whether all connections together hold too
    /// many. Called under the lock.
    fn hold(&self, _bytes: usize) -> bool {
        false
    }

    /// The receiver stops reading for a while, since the peer has sent too fast. Called without a
    /// lock.
    fn slowed_down(&self, _by: TooFast) {}

    /// All connections together hold too many bytes. Called without a lock.
    fn relieve(&self, _runtime: &Runtime) {}
}
