//! The clients' process: it starts the server, soaks it, and judges.

use std::env;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use towline::{CloseCode, Connection};

use crate::dice::Dice;
use crate::figures::Figures;
use crate::processor::Processor;
use crate::rude::misbehave;
use crate::talking::{Ways, talk};
use crate::tally::{Tally, count};

/// One client in so many is rude.
const RUDE: u64 = 5;

/// How much more memory the server may have in the end than before the first client, in KiB: what
/// the allocator keeps for the next wave of connections.
const MEMORY: usize = 64 << 10;

/// How long the server may take to have what it had before: the longest of its timeouts.
const SETTLE: Duration = Duration::from_secs(60);

/// How long a shutdown may take, in seconds.
const DEADLINE: u64 = 20;

struct Server {
    child: Child,
    asks: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
    plain: u16,
    secure: u16,
}

impl Server {
    async fn start() -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("serve")
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

    async fn ask(&mut self, question: &str) -> Result<String> {
        self.asks.write_all(format!("{question}\n").as_bytes()).await?;
        self.line().await
    }

    async fn look(&mut self) -> Result<Figures> {
        self.ask("look").await?.parse()
    }
}

/// Runs everything. Returns whether nothing was lost or left.
///
/// # Errors
///
/// If the server cannot be started, or has ended.
pub(crate) async fn run(time: Duration, clients: usize, shutdown: usize) -> Result<bool> {
    let mut server = Server::start().await?;
    let ways = Arc::new(Ways::to(server.plain, server.secure));
    let tally = Arc::new(Tally::default());
    // What is made with the first connection, and stays.
    talk(&ways, &mut Dice(1), &tally).await;
    let before = settled(&mut server, None).await?;
    println!("before: {before:?}");

    let end = Instant::now() + time;
    let (plain, secure) = (server.plain, server.secure);
    let mut running = JoinSet::new();
    for client in 0..clients as u64 {
        let (ways, tally) = (ways.clone(), tally.clone());
        running.spawn(async move {
            let mut dice = Dice(client.wrapping_mul(0x1234_5677));
            sleep(Duration::from_millis(dice.below(3_000))).await;
            while Instant::now() < end {
                if dice.below(RUDE) == 0 {
                    count(&tally.rude);
                    misbehave(plain, secure, &mut dice).await;
                } else {
                    talk(&ways, &mut dice, &tally).await;
                }
                sleep(Duration::from_millis(dice.below(500))).await;
            }
        });
    }
    let mut most = before;
    while !running.is_empty() {
        if tokio::time::timeout(Duration::from_secs(5), running.join_next()).await.is_err() {
            let now = server.look().await?;
            println!("{now:?}");
            if now.memory > most.memory {
                most = now;
            }
        }
    }
    let after = settled(&mut server, Some(&before)).await?;
    println!("most:   {most:?}\nafter:  {after:?}");
    check(&before, &after, &tally);
    say_processors(&server);
    shut_down(&mut server, &ways, shutdown, &tally).await?;
    Ok(report(&tally))
}

/// Says whether the machine had time for this.
fn say_processors(server: &Server) {
    for (who, process) in [("clients", Some(std::process::id())), ("server", server.child.id())] {
        // Not every system tells.
        if let Some(Ok(processor)) = process.map(Processor::read) {
            println!("processor: the {who} {processor}");
        }
    }
}

/// Waits until the server has no more than before, or its timeouts have passed.
async fn settled(server: &mut Server, before: Option<&Figures>) -> Result<Figures> {
    let until = Instant::now() + SETTLE;
    loop {
        let now = server.look().await?;
        let is_back = before.is_none_or(|before| {
            now.tasks <= before.tasks && now.descriptors <= before.descriptors
        });
        if (now.connections == 0 && is_back) || Instant::now() > until {
            // Before the first measurement, the timers of the first connection end.
            if before.is_none() {
                sleep(Duration::from_secs(7)).await;
                return server.look().await;
            }
            return Ok(now);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn check(before: &Figures, after: &Figures, tally: &Tally) {
    for (what, before, after) in [
        ("connections", 0, after.connections),
        ("tasks", before.tasks, after.tasks),
        ("descriptors", before.descriptors, after.descriptors),
        ("KiB of memory", before.memory + MEMORY, after.memory),
    ] {
        if after > before {
            tally.fault(format!("{after} {what} are left, {before} at most"));
        }
    }
}

/// Shuts the server down under many open connections: all end, by the deadline, with 1001.
async fn shut_down(
    server: &mut Server,
    ways: &Arc<Ways>,
    connections: usize,
    tally: &Arc<Tally>,
) -> Result<()> {
    let mut connecting = JoinSet::new();
    let mut open = Vec::new();
    for number in 0..connections as u64 {
        let ways = ways.clone();
        connecting.spawn(async move { ways.connect(&mut Dice(number)).await });
        // A storm of handshakes is another test.
        if connecting.len() >= 200 {
            open.extend(connecting.join_next().await.and_then(Result::ok));
        }
    }
    open.extend(connecting.join_all().await);
    let opened = open.len();
    let mut ending = JoinSet::new();
    for connection in open {
        match connection {
            Ok(connection) => drop(ending.spawn(until_end(connection))),
            Err(error) => tally.fault(format!("cannot connect: {error}")),
        }
    }
    let said = server.ask(&format!("shutdown {DEADLINE}")).await?;
    println!("shutdown of {opened}: connections, aborted and milliseconds are {said}");
    let figures: Vec<u64> = said.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [_, aborted, took] = figures[..] else { bail!("{said:?} is no result") };
    if aborted > 0 {
        tally.fault(format!("a shutdown aborted {aborted} connections"));
    }
    if took > (DEADLINE + 1) * 1000 {
        tally.fault(format!("a shutdown took {took} ms"));
    }
    for fault in ending.join_all().await.into_iter().flatten() {
        tally.fault(fault);
    }
    Ok(())
}

/// Receives to the end, which the server begins.
async fn until_end(mut connection: Connection) -> Option<String> {
    let closed = connection.wait_closed().await;
    let is_told = closed.is_clean() && closed.code() == CloseCode::GOING_AWAY;
    (!is_told).then(|| format!("not ended by the shutdown: {closed}"))
}

fn report(tally: &Tally) -> bool {
    let (faults, first) = tally.faults();
    println!(
        "{} connections, {} rude ones, {} messages sent, {} of them back, {faults} faults",
        tally.connections.load(Relaxed),
        tally.rude.load(Relaxed),
        tally.sent.load(Relaxed),
        tally.received.load(Relaxed),
    );
    for fault in first {
        println!("    {fault}");
    }
    faults == 0
}
