//! The share of one connection in the memory of a server, and closing the connections that hold most.

use std::cmp::Reverse;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use towline_proto::{CloseCode, CloseFrame, Closed, Stats, Traffic};

use crate::connection::{Info, Observer, Runtime, TooFast, Work, alone};
use crate::server::hub::Hub;
use crate::server::memory::Memory;
use crate::server::quota_stats::Quota;

/// The observer of a connection of a server with `max_buffered_bytes`.
pub(crate) struct Account {
    hub: Arc<Hub>,
    memory: Arc<Memory>,
    /// This connection's part of the sum.
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

    fn gone(&self, info: &Info, stats: &Stats) {
        self.hub.gone(info, stats);
    }

    fn slowed_down(&self, by: TooFast) {
        self.hub.slowed_down(by);
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
        if let Some(relieving) = self.memory.begin_to_relieve() {
            let (hub, memory) = (self.hub.clone(), self.memory.clone());
            runtime.spawn(async move {
                let mut next = Some(relieving);
                while let Some(relieving) = next {
                    let had_holders = relieve(&hub, &memory).await;
                    next = relieving.end(had_holders);
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

/// Aborts the connections that hold most, of all servers that share the limit, until the rest is
/// within it. Returns `false` if no connection holds memory.
async fn relieve(hub: &Arc<Hub>, memory: &Memory) -> bool {
    let mut holders = Vec::new();
    for connections in memory.connections() {
        holders.extend(connections.holders().await);
    }
    holders.sort_unstable_by_key(|(held, _)| Reverse(*held));
    let had_holders = !holders.is_empty();
    let mut closed: u64 = 0;
    let mut work = Work::default();
    for (_, shared) in holders {
        // Asked each time: others send and receive while this task yields.
        if memory.excess() == 0 {
            break;
        }
        alone(|| shared.abort(reason(memory.most())));
        drop(shared);
        hub.tally.applied().close(Quota::BufferedBytes);
        closed += 1;
        work.add_call();
        poll_fn(|cx| work.poll_pay(cx)).await;
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
    had_holders
}

/// 1013, "Try Again Later" in IANA's registry of close codes, is for a server that is overloaded.
/// 1008 would blame the client, which is within every limit of its own.
fn reason(most: usize) -> CloseFrame {
    let reason =
        format!("the server holds more than {most} bytes for its clients (max_buffered_bytes)");
    CloseFrame::new(CloseCode::TRY_AGAIN_LATER, reason).unwrap_or(CloseFrame::EMPTY)
}
