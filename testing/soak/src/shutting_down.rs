//! A graceful shutdown under many open connections.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use towline::{CloseCode, Connection};

use crate::descriptors::{in_processes, shares};
use crate::dice::Dice;
use crate::figures::Figures;
use crate::nginx::Nginx;
use crate::server::{Server, check};
use crate::serving::Options;
use crate::talking::{Ways, talk};
use crate::tally::Tally;

/// How long a shutdown may take, in seconds.
const DEADLINE: u64 = 20;

/// How long a client may take to answer in the run of its own, in seconds.
const CLOSE_TIMEOUT: u64 = 15;

/// How long a client waits for its end, in seconds: far longer than the server lets it live.
const LONG: u64 = DEADLINE + 60;

/// How many connections are opened at a time. A storm is another run.
const AT_ONCE: usize = 200;

/// Shuts a server down under this many connections. Returns whether all ended as they have to.
///
/// # Errors
///
/// If the server does not start or answer.
pub(crate) async fn run(connections: usize) -> Result<bool> {
    let shares = shares(connections)?;
    if shares.len() > 1 {
        return in_processes("--shutdown", &shares, &[]).await;
    }
    // On a busy machine so many clients take long to answer, and none is to be given up.
    let options = Options { close_timeout: CLOSE_TIMEOUT, ..Options::default() };
    let mut server = Server::start(&options).await?;
    let nginx = Nginx::before(server.plain)?;
    let ways = Arc::new(Ways::to(&server, nginx.as_ref()));
    let tally = Arc::new(Tally::default());
    // What is made with the first connection, and stays.
    talk(&ways, &mut Dice(1), &tally).await;
    let before = server.settled(None).await?;
    println!("before: {before:?}");
    shut_down(&mut server, &ways, connections, &before, &tally).await?;
    if let Some(nginx) = nginx {
        nginx.end();
    }
    Ok(tally.report())
}

/// Opens this many connections and shuts the server down: all end, by the deadline, with 1001, and
/// nothing is left.
///
/// # Errors
///
/// If the server does not answer.
pub(crate) async fn shut_down(
    server: &mut Server,
    ways: &Arc<Ways>,
    connections: usize,
    before: &Figures,
    tally: &Arc<Tally>,
) -> Result<()> {
    let mut connecting = JoinSet::new();
    let mut ending = JoinSet::new();
    let mut hold = |connected: Connected| match connected {
        Ok(Ok(connection)) => drop(ending.spawn(until_end(connection))),
        Ok(Err(error)) => tally.fault(format!("cannot connect: {error}")),
        Err(error) => tally.broken(&error),
    };
    for number in 0..connections as u64 {
        let (ways, tally) = (ways.clone(), tally.clone());
        connecting.spawn(async move { ways.connect(&mut Dice(number), &tally).await });
        if connecting.len() >= AT_ONCE {
            connecting.join_next().await.into_iter().for_each(&mut hold);
        }
    }
    while let Some(connected) = connecting.join_next().await {
        hold(connected);
    }
    let opened = ending.len();
    if opened != connections {
        tally.fault(format!("{opened} connections are open, and not {connections}"));
    }
    println!("open:   {:?}", server.look().await?);
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
    while let Some(ended) = ending.join_next().await {
        match ended {
            Ok(None) => {}
            Ok(Some(fault)) => tally.fault(fault),
            Err(error) => tally.broken(&error),
        }
    }
    let after = server.settled(Some(before)).await?;
    println!("after:  {after:?}");
    check(before, &after, tally);
    server.say_processors();
    Ok(())
}

type Connected = Result<towline::Result<Connection>, JoinError>;

/// Receives to the end, which the server begins.
async fn until_end(mut connection: Connection) -> Option<String> {
    let Ok(closed) = timeout(Duration::from_secs(LONG), connection.wait_closed()).await else {
        return Some(format!("not ended by the shutdown, within {LONG} s"));
    };
    // Its answer may be too late for the server, which says how many those are.
    let is_told = closed.code() == CloseCode::GOING_AWAY;
    (!is_told).then(|| format!("not ended by the shutdown: {closed}"))
}
