//! The server's process, as the clients' process has it.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep};

use crate::figures::Figures;
use crate::processor::Processor;
use crate::serving::Options;
use crate::tally::Tally;

/// How much more memory the server may have in the end than before the first client, in KiB: what
/// the allocator keeps for the next wave of connections.
const MEMORY: usize = 64 << 10;

/// How long the server may take to have what it had before: the longest of its timeouts.
const SETTLE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    child: Child,
    asks: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
    /// Its ports for plain HTTP, and for TLS.
    pub(crate) plain: u16,
    pub(crate) secure: u16,
}

impl Server {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("serve")
            .args(options.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the server")?;
        let asks = child.stdin.take().context("no standard input")?;
        let says = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let mut server = Self { child, asks, says, plain: 0, secure: 0 };
        let ports = server.line().await?;
        let (plain, secure) = ports.split_once(' ').context("no ports")?;
        (server.plain, server.secure) = (plain.parse()?, secure.parse()?);
        Ok(server)
    }

    async fn line(&mut self) -> Result<String> {
        match self.says.next_line().await? {
            Some(line) => Ok(line),
            None => bail!("the server has ended: {}", self.child.wait().await?),
        }
    }

    pub(crate) async fn ask(&mut self, question: &str) -> Result<String> {
        self.asks.write_all(format!("{question}\n").as_bytes()).await?;
        self.line().await
    }

    pub(crate) async fn look(&mut self) -> Result<Figures> {
        self.ask("look").await?.parse()
    }

    /// Looks once this holds, or much time has passed.
    pub(crate) async fn look_once(&mut self, holds: impl Fn(&Figures) -> bool) -> Result<Figures> {
        let until = Instant::now() + SETTLE;
        loop {
            let now = self.look().await?;
            if holds(&now) || Instant::now() > until {
                return Ok(now);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the server has no more than before, or its timeouts have passed.
    pub(crate) async fn settled(&mut self, before: Option<&Figures>) -> Result<Figures> {
        let Some(before) = before else {
            self.look_once(|now| now.connections == 0).await?;
            // Before the first measurement, the timers of the first connection end.
            sleep(Duration::from_secs(7)).await;
            return self.look().await;
        };
        let is_back = |now: &Figures| {
            let is_back = now.tasks <= before.tasks && now.descriptors <= before.descriptors;
            now.connections == 0 && is_back
        };
        self.look_once(is_back).await
    }

    /// How long the server's threads have run.
    pub(crate) fn processor(&self) -> Option<Processor> {
        // Not every system tells.
        Processor::read(self.child.id()?).ok()
    }

    /// Says whether the machine had time for this.
    pub(crate) fn say_processors(&self) {
        let clients = Processor::read(std::process::id()).ok();
        for (who, processor) in [("clients", clients), ("server", self.processor())] {
            if let Some(processor) = processor {
                println!("processor: the {who} {processor}");
            }
        }
    }
}

/// Checks that nothing is left in the server, and that nothing has panicked there.
pub(crate) fn check(before: &Figures, after: &Figures, tally: &Tally) {
    for (what, most, is) in [
        ("connections", 0, after.connections),
        ("tasks", before.tasks, after.tasks),
        ("descriptors", before.descriptors, after.descriptors),
        ("KiB of memory", before.memory + MEMORY, after.memory),
    ] {
        if is > most {
            tally.fault(format!("{is} {what} are left, {most} at most"));
        }
    }
    if after.ended != after.accepted {
        tally.fault(format!("{} handshakes, and {} ends", after.accepted, after.ended));
    }
    if after.panics > 0 {
        tally.fault(format!("{} panics in the server", after.panics));
    }
}
