//! Connections that are opened at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use towline::{Client, CloseCode, Config, ErrorKind, Proxy};

use crate::descriptors::{in_processes, shares};
use crate::figures::Figures;
use crate::server::{Server, check};
use crate::serving::Options;
use crate::tally::{Tally, count};

/// Far longer than anything takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(120);

/// What became of a client.
enum Became {
    /// It had its echo after this time.
    Connected(Duration),
    /// The server has answered 503.
    Refused,
    Fault(String),
}

/// Opens the connections at once, first to a server that takes all of them, and then to one that
/// takes half. Returns whether all that may were let in, and the others refused.
///
/// # Errors
///
/// If the server does not start or answer.
pub(crate) async fn run(connections: usize) -> Result<bool> {
    let shares = shares(connections)?;
    if shares.len() > 1 {
        return in_processes("--storm", &shares, &[]).await;
    }
    let tally = Arc::new(Tally::default());
    let half = Some(connections / 2);
    let (takes_all, takes_half) = tokio::try_join!(ready(None), ready(half))?;
    for (ready, most) in [(takes_all, None), (takes_half, half)] {
        storm(ready, connections, most, &tally).await?;
    }
    Ok(tally.report())
}

fn client() -> Client {
    let config = Config::client().close_timeout(LONG);
    Client::new().config(config).proxy(Proxy::none()).connect_timeout(LONG)
}

fn url(server: &Server) -> String {
    format!("ws://127.0.0.1:{}/", server.plain)
}

/// Starts a server, and returns what it has after its first connection.
async fn ready(most: Option<usize>) -> Result<(Server, Figures)> {
    let options = Options { max_connections: most, ..Options::default() };
    let mut server = Server::start(&options).await?;
    client().connect(url(&server)).await?.close(CloseCode::NORMAL, "").await?;
    let before = server.settled(None).await?;
    Ok((server, before))
}

async fn storm(
    (mut server, before): (Server, Figures),
    connections: usize,
    most: Option<usize>,
    tally: &Arc<Tally>,
) -> Result<()> {
    println!("before: {before:?}");
    let (client, url) = (client(), url(&server));

    let all_have_come = Arc::new(Barrier::new(connections + 1));
    let all_may_go = Arc::new(Barrier::new(connections + 1));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let (client, url, tally) = (client.clone(), url.clone(), tally.clone());
        let barriers = [all_have_come.clone(), all_may_go.clone()];
        clients.spawn(one(client, url, start, barriers, tally));
    }
    wait(&all_have_come, &mut clients).await?;
    let took = start.elapsed();
    let open = server.look().await?;
    println!("open:   {open:?}");
    wait(&all_may_go, &mut clients).await?;
    let (mut connected, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    while let Some(became) = clients.join_next().await {
        match became {
            Ok(Became::Connected(after)) => {
                connected += 1;
                slowest = slowest.max(after);
            }
            Ok(Became::Refused) => refused += 1,
            Ok(Became::Fault(fault)) => tally.fault(fault),
            Err(error) => tally.broken(&error),
        }
    }
    println!(
        "{connections} at once, {} allowed: {connected} connected, the last after {slowest:.1?}, and \
         {refused} refused, all after {took:.1?}",
        most.map_or_else(|| "all".to_owned(), |most| most.to_string()),
    );
    let expected = most.unwrap_or(connections);
    for (what, is, expected) in [
        ("let in", connected, expected),
        ("refused", refused, connections - expected),
        ("open on the server", open.connections, expected),
        ("refused by the server", usize::try_from(open.rejected)?, connections - expected),
    ] {
        if is != expected {
            tally.fault(format!("{is} {what}, and not {expected}"));
        }
    }
    let after = server.settled(Some(&before)).await?;
    println!("after:  {after:?}");
    check(&before, &after, tally);
    server.say_processors();
    Ok(())
}

/// Waits for all clients, which end only behind the barriers.
async fn wait(barrier: &Barrier, clients: &mut JoinSet<Became>) -> Result<()> {
    tokio::select! {
        biased;
        _ = barrier.wait() => Ok(()),
        Some(ended) = clients.join_next() => bail!("a client is broken: {:?}", ended.err()),
    }
}

/// Connects, has one echo, and stays until all have come.
async fn one(
    client: Client,
    url: String,
    start: Instant,
    [all_have_come, all_may_go]: [Arc<Barrier>; 2],
    tally: Arc<Tally>,
) -> Became {
    let connected = async {
        let mut connection = client.connect(&url).await?;
        connection.send("ahoy").await?;
        count(&tally.sent);
        let echo = connection.recv().await?;
        towline::Result::Ok((connection, echo))
    };
    let connected = timeout(LONG, connected).await;
    let after = start.elapsed();
    all_have_come.wait().await;
    all_may_go.wait().await;
    let (mut connection, echo) = match connected {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) if error.kind() == ErrorKind::HttpResponse => {
            let status = error.response().map(|response| response.status().as_u16());
            return match status {
                Some(503) => Became::Refused,
                _ => Became::Fault(format!("cannot connect: {error}")),
            };
        }
        Ok(Err(error)) => return Became::Fault(format!("lost: {error}")),
        Err(_) => return Became::Fault(format!("no echo within {LONG:?}")),
    };
    if echo.as_ref().and_then(|echo| echo.as_text()) != Some("ahoy") {
        return Became::Fault(format!("not the echo: {echo:?}"));
    }
    count(&tally.received);
    count(&tally.connections);
    match connection.close(CloseCode::NORMAL, "").await {
        Ok(closed) if closed.is_clean() => Became::Connected(after),
        Ok(closed) => Became::Fault(format!("not closed cleanly: {closed}")),
        Err(error) => Became::Fault(format!("cannot close: {error}")),
    }
}
