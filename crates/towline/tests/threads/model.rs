//! Running a program under every schedule that comes to mind.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{JoinHandle, block_on};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
    UncontrolledNondeterminismCheckScheduler,
};
use shuttle::{Config, FailurePersistence, Runner};
use tokio::runtime::{Builder, Runtime};

/// So many schedules are tried of each sort.
const SCHEDULES: usize = 8000;

/// So many are run twice, to see that nothing but the schedule decides.
const REPEATED: usize = 50;

/// So often PCT has a thread held up that would run.
const DEPTH: usize = 4;

/// So often time passes for those who wait, who may be held up as long as that by the schedule.
const PATIENCE: usize = 2000;

thread_local! {
    /// Has the time, which stands still, and runs nothing. It is never dropped: it would wake those
    /// that a failed program has left waiting.
    static TIME: &'static Runtime = Box::leak(Box::new(
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap(),
    ));
}

/// Runs the program under many schedules; or under the one in the file that `SCHEDULE` names, or
/// that of the failing seed in `SEED`.
pub(crate) fn check<F: Future<Output = ()> + 'static>(program: fn() -> F) {
    if let Ok(path) = std::env::var("SCHEDULE") {
        return run(ReplayScheduler::new_from_file(path).unwrap(), program);
    }
    if let Ok(seed) = std::env::var("SEED") {
        return run(RandomScheduler::new_from_seed(seed.parse().unwrap(), 1), program);
    }
    let twice = RandomScheduler::new(REPEATED);
    run(UncontrolledNondeterminismCheckScheduler::new(twice), program);
    run(RandomScheduler::new(SCHEDULES), program);
    run(PctScheduler::new(DEPTH, SCHEDULES), program);
}

fn run<F: Future<Output = ()> + 'static>(scheduler: impl Scheduler + 'static, program: fn() -> F) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::File(Some(env!("CARGO_TARGET_TMPDIR").into()));
    TIME.with(|time| {
        let _guard = time.enter();
        Runner::new(scheduler, config).run(move || block_on(program()));
    });
}

/// Runs something on a thread of its own.
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    shuttle::future::spawn(task)
}

/// Waits for all of them.
pub(crate) async fn join<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

/// Lets time pass, so that what is due is called.
pub(crate) fn passes(time: Duration) {
    TIME.with(|runtime| runtime.block_on(tokio::time::advance(time)));
}

/// Waits for all of them, while time passes, so that no timeout keeps them.
pub(crate) async fn join_as_time_passes<T>(tasks: Vec<JoinHandle<T>>, by: Duration) -> Vec<T> {
    for _ in 0..PATIENCE {
        if tasks.iter().all(JoinHandle::is_finished) {
            break;
        }
        passes(by);
        shuttle::future::yield_now().await;
    }
    assert!(tasks.iter().all(JoinHandle::is_finished), "some wait for what no time brings");
    join(tasks).await
}

/// A number below `end`, by chance.
pub(crate) fn any(end: usize) -> usize {
    thread_rng().gen_range(0..end)
}

/// Polls so many times and then no more: at once, or as soon as it has been woken for another one.
pub(crate) async fn poll_times<F: Future>(
    mut future: Pin<&mut F>,
    times: usize,
    until_woken: bool,
) -> Option<F::Output> {
    let mut polled = 0;
    poll_fn(|cx| {
        if polled == times {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled == times && !until_woken => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
