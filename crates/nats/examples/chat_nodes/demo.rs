//! Three listeners and a speaker, while a node is killed: its listener comes back on another node, and
//! has a gap. Nobody else has one.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use towline::{Backoff, Client, Connection};

use crate::cluster::Cluster;

/// How many lines are said before the kill, and after the listener is back.
const LINES: u64 = 50;

/// The time between two lines.
const BEAT: Duration = Duration::from_millis(10);

/// What a listener has heard: lines by their numbers, and the nodes it was on.
#[derive(Debug, Default)]
struct Heard {
    numbers: Vec<u64>,
    nodes: Vec<String>,
}

struct Listener {
    heard: Arc<Mutex<Heard>>,
    /// Changes whenever something is heard.
    changed: watch::Receiver<()>,
}

impl Listener {
    /// Connects, and again whenever the connection is lost. This is the client to copy.
    fn start(url: &str) -> Self {
        let url = url.to_owned();
        let mut room = Client::new()
            .reconnecting(move |_| {
                let url = url.clone();
                async move { Ok(url) }
            })
            .backoff(Backoff::default().first(Duration::from_millis(500)));
        let (tell, changed) = watch::channel(());
        let heard = Arc::<Mutex<Heard>>::default();
        let hears = heard.clone();
        tokio::spawn(async move {
            // `None`, or an error that another attempt does not help, ends it.
            while let Ok(Some(mut connection)) = room.next().await {
                while let Ok(Some(message)) = connection.recv().await {
                    note(&hears, message.as_text().unwrap_or_default());
                    tell.send_replace(());
                }
            }
        });
        Self { heard, changed }
    }

    fn with<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn wait_until(&mut self, is_so: impl Fn(&Heard) -> bool) -> Result<(), Box<dyn Error>> {
        let heard = self.heard.clone();
        let waiting = self
            .changed
            .wait_for(|()| is_so(&heard.lock().unwrap_or_else(PoisonError::into_inner)));
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .map_err(|_| "no line for 30 s")??;
        Ok(())
    }
}

fn note(heard: &Mutex<Heard>, text: &str) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    match (text.parse(), node(text)) {
        (Ok(number), _) => heard.numbers.push(number),
        (_, Some(node)) => heard.nodes.push(node.to_owned()),
        _ => {}
    }
}

/// The node's name in its greeting.
fn node(text: &str) -> Option<&str> {
    Some(text.strip_prefix("* this is ")?.split_once(',')?.0)
}

/// Says the next line.
async fn say(speaker: &mut Connection, number: &mut u64) -> towline::Result<()> {
    *number += 1;
    speaker.send(number.to_string()).await?;
    // What the speaker hears itself has to be received.
    let _ =
        tokio::time::timeout(BEAT, async { while let Ok(Some(_)) = speaker.recv().await {} }).await;
    Ok(())
}

/// Runs it, and fails if somebody has a gap who should not, or the other way round.
pub(crate) async fn run(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    let url = format!("ws://{}/harbour", cluster.front);
    let mut speaker = Client::new().connect(&url).await?;
    let greeting = speaker.recv().await?.ok_or("no greeting")?;
    let speakers_node = greeting.as_text().and_then(node).ok_or("no greeting")?.to_owned();
    let mut listeners: Vec<_> = (0..3).map(|_| Listener::start(&url)).collect();
    for listener in &mut listeners {
        listener.wait_until(|heard| !heard.nodes.is_empty()).await?;
    }

    let mut number = 0;
    while number < LINES {
        say(&mut speaker, &mut number).await?;
    }
    let of = |listener: &Listener| listener.with(|heard| heard.nodes[0].clone());
    let killed = listeners.iter().map(of).find(|node| *node != speakers_node);
    let killed = killed.ok_or("all are on one node")?;
    let node = cluster.nodes.iter_mut().find(|node| node.name == killed).ok_or("no such node")?;
    node.child.kill().await?;
    println!("{killed} is killed after line {number}");

    // Somebody goes on speaking, or there would be no gap.
    let is_back = |listener: &Listener| {
        listener.with(|heard| heard.nodes[0] != killed || heard.nodes.len() > 1)
    };
    for _ in 0..3000 {
        if listeners.iter().all(is_back) {
            break;
        }
        say(&mut speaker, &mut number).await?;
    }
    let last = number + LINES;
    while number < last {
        say(&mut speaker, &mut number).await?;
    }

    for (index, listener) in listeners.iter_mut().enumerate() {
        listener.wait_until(|heard| heard.numbers.last() == Some(&last)).await?;
        let (gaps, nodes) = listener.with(|heard| (gaps(&heard.numbers), heard.nodes.clone()));
        println!("listener {} on {}: {}", index + 1, nodes.join(", then "), in_words(&gaps, last));
        let is_as_expected = match nodes[0] == killed {
            // The listener can be back before the next line is said.
            true => gaps.len() <= 1 && nodes.len() == 2 && nodes[1] != killed,
            false => gaps.is_empty() && nodes.len() == 1,
        };
        if !is_as_expected {
            return Err(format!("listener {}: that is not as promised", index + 1).into());
        }
    }
    Ok(())
}

/// The numbers that are missing: each gap's first and last. Twice or out of order is a gap, too, which
/// ends before it begins.
fn gaps(numbers: &[u64]) -> Vec<(u64, u64)> {
    let pairs = numbers.iter().scan(0, |before, &number| {
        let expected = *before + 1;
        *before = number;
        Some((expected, number))
    });
    pairs
        .filter(|(expected, number)| expected != number)
        .map(|(first, next)| (first, next - 1))
        .collect()
}

fn in_words(gaps: &[(u64, u64)], last: u64) -> String {
    match gaps {
        [] => format!("heard lines 1 to {last}, all of them"),
        gaps => {
            let gaps: Vec<_> =
                gaps.iter().map(|(first, last)| format!("{first} to {last}")).collect();
            format!("heard lines 1 to {last}, but for {}", gaps.join(" and "))
        }
    }
}
