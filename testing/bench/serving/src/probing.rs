//! How long a server's threads run one thing and nothing else, where a server is started with
//! `--probe`: a task that always yields looks how long it had to wait for its next turn, and each
//! poll of a connection's task is timed.
//!
//! It is asked over a socket of its own, which a thread of its own serves.

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

/// That of this process, if it has one.
static PROBE: OnceLock<Probe> = OnceLock::new();

#[derive(Debug)]
struct Probe {
    began: Instant,
    /// From one turn of a task that always yields to its next.
    gaps: Stretches,
    /// When each of those tasks had its last turn, in nanoseconds from the beginning.
    turns: Vec<AtomicU64>,
    /// Processor time of one poll of a connection's task.
    polls: Stretches,
    /// When the poll began that each thread is at, or zero if it is at none.
    running: Vec<AtomicU64>,
}

thread_local! {
    /// Which of them is this thread.
    static THREAD: usize = THREADS.fetch_add(1, Relaxed);
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// What there was since it was last asked.
#[derive(Serialize)]
struct Report {
    gaps: Summary,
    polls: Summary,
}

/// Gives this process a probe, and says where it can be asked: each line is answered with a line
/// of JSON, on what there was since the last.
///
/// # Errors
///
/// If nothing can be listened on.
pub(crate) fn start(threads: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let probe = PROBE.get_or_init(|| Probe {
        began: Instant::now(),
        gaps: Stretches::default(),
        turns: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        polls: Stretches::default(),
        // The thread that starts a runtime may poll as well.
        running: (0..=threads).map(|_| AtomicU64::new(0)).collect(),
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever asks may go at any time.
            let _ = probe.answer(&stream);
        }
    });
    Ok(address)
}

/// Begins to take turns on this runtime, if there is a probe: as many tasks as it has threads.
pub(crate) fn take_turns() {
    let Some(probe) = PROBE.get() else { return };
    for turn in &probe.turns {
        turn.store(probe.now(), Relaxed);
        tokio::spawn(probe.yield_always(turn));
    }
}

/// Spawns a connection's task, and times its polls if there is a probe.
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
        // Who waits yet has waited as well, and who runs yet has run.
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

/// Processor time of this thread, which other programs take no part of.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
