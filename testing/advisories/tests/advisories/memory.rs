//! The memory that an attack takes.

use crate::attacker::{echo, neighbour_is_served};

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Buffers that a thread keeps for all its connections exist after the first one.
async fn warm_up() {
    neighbour_is_served(&echo(towline::Server::builder())).await;
}

/// Returns the most bytes that are on the heap at one time while this runs, the attacker's included.
pub(crate) fn peak(future: impl Future<Output = ()>) -> u64 {
    let runtime = runtime();
    runtime.block_on(warm_up());
    let mut future = Some(future);
    allocation_counter::measure(|| runtime.block_on(future.take().unwrap())).bytes_max
}

/// Returns the bytes that are on the heap after the second future and were not before it.
pub(crate) fn left<T>(before: impl Future<Output = T>, attack: impl AsyncFn(&T)) -> i64 {
    let runtime = runtime();
    let at = runtime.block_on(before);
    allocation_counter::measure(|| runtime.block_on(attack(&at))).bytes_current
}
