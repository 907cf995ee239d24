//! Clients that come, talk, misbehave, vanish and return, and the checks in the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::dice::Dice;
use crate::nginx::Nginx;
use crate::rude::misbehave;
use crate::server::{Server, check};
use crate::serving::Options;
use crate::shutting_down::shut_down;
use crate::talking::{Ways, talk};
use crate::tally::{Tally, count};

/// One client in so many is rude.
const RUDE: u64 = 5;

/// Runs everything, and a shutdown. Returns whether nothing was lost or left.
///
/// # Errors
///
/// If the server does not start or answer.
pub(crate) async fn run(time: Duration, clients: usize, shutdown: usize) -> Result<bool> {
    let mut server = Server::start(&Options::default()).await?;
    let nginx = Nginx::before(server.plain)?;
    if nginx.is_none() {
        println!("nginx is not installed: no connection goes through it");
    }
    let ways = Arc::new(Ways::to(&server, nginx.as_ref()));
    let tally = Arc::new(Tally::default());
    // What is made with the first connection, and stays.
    talk(&ways, &mut Dice(1), &tally).await;
    let before = server.settled(None).await?;
    println!("before: {before:?}");

    let end = Instant::now() + time;
    let mut ports = vec![server.plain, server.plain, server.plain, server.secure];
    ports.extend(nginx.as_ref().map(|nginx| nginx.plain));
    let mut running = JoinSet::new();
    for client in 0..clients as u64 {
        let (ways, tally, ports) = (ways.clone(), tally.clone(), ports.clone());
        running.spawn(async move {
            let mut dice = Dice(client.wrapping_mul(0x1234_5677));
            sleep(Duration::from_millis(dice.below(3_000))).await;
            while Instant::now() < end {
                if dice.below(RUDE) == 0 {
                    count(&tally.rude);
                    misbehave(&ports, &mut dice).await;
                } else {
                    talk(&ways, &mut dice, &tally).await;
                }
                sleep(Duration::from_millis(dice.below(500))).await;
            }
        });
    }
    let mut most = before;
    while !running.is_empty() {
        match timeout(Duration::from_secs(5), running.join_next()).await {
            Ok(Some(Err(error))) => tally.broken(&error),
            Ok(_) => {}
            Err(_) => {
                let now = server.look().await?;
                println!("{now:?}");
                if now.memory > most.memory {
                    most = now;
                }
            }
        }
    }
    let after = server.settled(Some(&before)).await?;
    println!("most:   {most:?}\nafter:  {after:?}");
    check(&before, &after, &tally);
    shut_down(&mut server, &ways, shutdown, &before, &tally).await?;
    if let Some(nginx) = nginx {
        nginx.end();
    }
    Ok(tally.report())
}
