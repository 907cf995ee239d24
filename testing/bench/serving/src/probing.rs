//! Measures how long a server's threads run one task without a break, with `--probe`: a task that always
//! yields measures how long it waits for its next turn, and each poll of a connection's task is timed.
//!
//! A separate thread serves the results on a separate socket.

use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::task::{JoinHandle, yield_now};

use crate::stretches::{Stretches, Summary};

/// The probe of this process, if it has one.
static PROBE: OnceLock<Probe> = OnceLock::new();

#[derive(Debug)]
struct Probe {
    began: Instant,
    /// The time between two turns of a task that always yields.
    gaps: Stretches,
    /// The last turn of each of those tasks, in nanoseconds from the start.
    turns: Vec<AtomicU64>,
    /// The processor time of one poll of a connection's task.
    polls: Stretches,
    /// The start of the current poll of each thread, or zero without one.
    running: Vec<AtomicU64>,
}

thread_local! {
    /// The index of this thread in the list of threads.
    static THREAD: usize = THREADS.fetch_add(1, Relaxed);
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The measurements since the last request.
#[derive(Serialize)]
struct Report {
    gaps: Summary,
    polls: Summary,
}

/// Starts a probe in this process, and returns its address. It answers each line with a line of JSON, with
/// the measurements since the previous one.
///
/// # Errors
///
/// If listening fails.
pub(crate) fn start(threads: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let probe = PROBE.get_or_init(|| Probe {
        began: Instant::now(),
        gaps: Stretches::default(),
        turns: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        polls: Stretches::default(),
        // The thread that starts a runtime can poll as well.
        running: (0..=threads).map(|_| AtomicU64::new(0)).collect(),
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The client can disconnect at any time.
            let _ = probe.answer(&stream);
        }
    });
    Ok(address)
}

/// With a probe, spawns one yielding task for each thread of this runtime.
pub(crate) fn take_turns() {
    let Some(probe) = PROBE.get() else { return };
    for turn in &probe.turns {
        turn.store(probe.now(), Relaxed);
        tokio::spawn(probe.yield_always(turn));
    }
}

/// Spawns a connection's task, and times its polls with a probe.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match PROBE.get() {
        Some(probe) => tokio::spawn(probe.time(task)),
        None => tokio::spawn(task),
    }
}

impl Probe {
    async fn yield_always(&self, turn: &AtomicU64) {
        loop {
            yield_now().await;
            let now = self.now();
            let before = turn.swap(now, Relaxed);
            self.gaps.add(Duration::from_nanos(now.saturating_sub(before)));
        }
    }

    async fn time<F: Future>(&self, task: F) -> F::Output {
        let mut task = pin!(task);
        poll_fn(|cx| {
            let running = &self.running[THREAD.with(|thread| thread % self.running.len())];
            running.store(self.now(), Relaxed);
            let before = thread_time();
            let polled = task.as_mut().poll(cx);
            self.polls.add(thread_time().saturating_sub(before));
            running.store(0, Relaxed);
            polled
        })
        .await
    }

    fn answer(&self, mut stream: &TcpStream) -> Result<()> {
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let report = serde_json::to_string(&self.report())? + "\n";
            stream.write_all(report.as_bytes())?;
            line.clear();
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let mut report = Report { gaps: self.gaps.take(), polls: self.polls.take() };
        // Also counts the waits and the polls in progress.
        for turn in &self.turns {
            let waits = self.now().saturating_sub(turn.load(Relaxed));
            report.gaps = report.gaps.with(waits);
        }
        for began in self.running.iter().map(|running| running.load(Relaxed)) {
            if began > 0 {
                report.polls = report.polls.with(self.now().saturating_sub(began));
            }
        }
        report
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Returns the processor time of this thread, which other programs do not affect.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
