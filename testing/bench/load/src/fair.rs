//! The effect of one connection on all others: their latency while it sends as fast as it can, or while
//! the server has very many connections.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::connecting::{PATIENCE, connect};
use crate::frames::{Compression, Shape};
use crate::greedy::{self, Bytes, Greed, Progress, SIGN_OF_LIFE};
use crate::latencies::{Latencies, Summary};
use crate::probing::{Probe, Window};
use crate::process::{Usage, Watched};

/// The number of connections whose latency is measured.
const PROBES: usize = 4;

/// How long late echoes are awaited after the end.
const OVERTIME: Duration = Duration::from_secs(5);

/// The descriptors for everything except held connections.
pub(crate) const SPARE: u64 = 100;

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) greed: Greed,
    /// What the one connection sends, if anything.
    pub(crate) shape: Shape,
    /// The number of other connections.
    pub(crate) held: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// The address of the server's probe, if it has one.
    pub(crate) probe: Option<SocketAddr>,
    pub(crate) server: Watched,
}

#[derive(Serialize)]
pub(crate) struct Report {
    /// The number of other connections, limited by the descriptors.
    held: usize,
    seconds: f64,
    latency: Summary,
    greedy: Bytes,
    /// Why the load ended before the time was over.
    ended: Option<String>,
    server: Usage,
    /// The answer of the server's probe.
    stretches: Option<serde_json::Value>,
}

/// # Errors
///
/// If the server fails, or does not serve the measured connections.
pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let most = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |most| most);
    let held = plan.held.min(usize::try_from(most.saturating_sub(SPARE))?);
    let held = connect(plan.address, held, 32, Compression::Off)?;
    let probes = Probe::open(plan.address, PROBES)?;
    if plan.greed == Greed::Keepalive {
        show_signs_of_life(&held)?;
    }
    let progress = Progress::default();
    thread::scope(|scope| {
        let greedy =
            scope.spawn(|| greedy::run(plan.greed, plan.address, plan.shape, &held, &progress));
        let measured = measure(plan, probes, &progress);
        progress.is_over.store(true, Relaxed);
        let ended = match greedy.join() {
            Ok(ended) => ended.err().map(|error| format!("{error:#}")),
            Err(_) => bail!("a thread panicked"),
        };
        Ok(Report { held: held.len(), ended, ..measured? })
    })
}

/// Opens all at one time, so that the server pings them at one time.
fn show_signs_of_life(held: &[TcpStream]) -> Result<()> {
    for mut stream in held {
        stream.write_all(&SIGN_OF_LIFE).context("cannot write")?;
    }
    Ok(())
}

fn measure(plan: &Plan, probes: Vec<Probe>, progress: &Progress) -> Result<Report> {
    let mut asked = plan.probe.map(Asked::connect).transpose()?;
    let first = Instant::now() + plan.warm_up;
    let last = first + plan.measured;
    let window = Window { first, last, end: last + OVERTIME };
    thread::scope(|scope| {
        let probing: Vec<_> =
            probes.into_iter().map(|probe| scope.spawn(move || probe.run(window))).collect();
        sleep(first.saturating_duration_since(Instant::now()));
        let (before, bytes) = (plan.server.usage()?, progress.look());
        if let Some(asked) = &mut asked {
            asked.ask()?;
        }
        sleep(last.saturating_duration_since(Instant::now()));
        let stretches = asked.as_mut().map(Asked::ask).transpose()?;
        let greedy = progress.look().since(bytes);
        let server = plan.server.usage()?.since(&before);
        let seconds = first.elapsed().as_secs_f64();
        let mut latencies = Latencies::default();
        for probe in probing {
            match probe.join() {
                Ok(came) => latencies.append(came?),
                Err(_) => bail!("a thread panicked"),
            }
        }
        let latency = latencies.summary().context("nothing was sent in the time")?;
        Ok(Report { held: 0, seconds, latency, greedy, ended: None, server, stretches })
    })
}

/// The probe in the server.
struct Asked {
    stream: BufReader<TcpStream>,
}

impl Asked {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("cannot reach the server's probe")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Returns the measurements since the last call.
    fn ask(&mut self) -> Result<serde_json::Value> {
        self.stream.get_mut().write_all(b"\n")?;
        let mut line = String::new();
        self.stream.read_line(&mut line).context("the server's probe does not answer")?;
        serde_json::from_str(&line).context("the server's probe answers with no JSON")
    }
}
