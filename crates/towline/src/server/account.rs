//! What one connection holds of the memory of a server, and who is closed if it is too much.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use towline_proto::{CloseCode, CloseFrame, Closed, Stats, Traffic};

use crate::connection::{Info, Observer, Runtime, alone};
use crate::server::hub::Hub;
use crate::server::memory::{Memory, Relieving};

/// The observer of a connection of a server with `max_buffered_bytes`.
pub(crate) struct Account {
    hub: Arc<Hub>,
    memory: Arc<Memory>,
    /// What of the sum is this connection's.
    noted: AtomicUsize,
}

impl Account {
    /// Returns the observer for a connection of this server.
    pub(crate) fn observer(hub: &Arc<Hub>) -> Arc<dyn Observer> {
        match &hub.memory {
            Some(memory) => {
                let (hub, memory) = (hub.clone(), memory.clone());
                Arc::new(Self { hub, memory, noted: AtomicUsize::new(0) })
            }
            None => hub.clone(),
        }
    }
}

impl Observer for Account {
    fn closed(&self, info: &Arc<Info>, closed: &Closed, stats: &Stats) {
        self.hub.closed(info, closed, stats);
    }

    fn counted_late(&self, info: &Info, received: &Traffic) {
        self.hub.counted_late(info, received);
    }

    fn is_accounting(&self) -> bool {
        true
    }

    fn hold(&self, bytes: usize) -> bool {
        let noted = self.noted.swap(bytes, Ordering::Relaxed);
        if noted != bytes {
            self.memory.change(noted, bytes);
        }
        noted < bytes && self.memory.is_exceeded()
    }

    fn relieve(&self, runtime: &Runtime) {
        if let Some(mut relieving) = self.memory.begin_to_relieve() {
            let (hub, memory) = (self.hub.clone(), self.memory.clone());
            runtime.spawn(async move {
                while relieve(&hub, &memory, relieving).await {
                    // What was noticed meanwhile was left to this task.
                    let Some(again) = memory.begin_to_relieve() else { return };
                    relieving = again;
                }
            });
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.hold(0);
    }
}

/// Aborts the connections that hold most, until the rest is within the limit. Returns `false` if
/// there is nobody to abort.
async fn relieve(hub: &Arc<Hub>, memory: &Memory, _relieving: Relieving) -> bool {
    let mut holders = hub.connections.holders().await;
    holders.sort_unstable_by_key(|(held, _)| Reverse(*held));
    let mut excess = memory.excess();
    let mut closed: u64 = 0;
    for (held, shared) in holders {
        if excess == 0 {
            break;
        }
        alone(|| shared.abort(reason(memory.most())));
        excess = excess.saturating_sub(held);
        closed += 1;
    }
    if closed > 0
        && let Some(left_out) = hub.lines().relieved.turn()
    {
        let (max_buffered_bytes, left_out) = (memory.most(), left_out.count());
        tracing::warn!(
            closed,
            max_buffered_bytes,
            left_out,
            "the connections that held most memory were closed"
        );
    }
    closed > 0
}

/// 1013, "Try Again Later" in IANA's registry of close codes, is for a server that is overloaded.
/// 1008 would blame the client, which is within every limit of its own.
fn reason(most: usize) -> CloseFrame {
    let reason =
        format!("the server holds more than {most} bytes for its clients (max_buffered_bytes)");
    CloseFrame::new(CloseCode::TRY_AGAIN_LATER, reason).unwrap_or(CloseFrame::EMPTY)
}
