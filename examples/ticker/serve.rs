//! The server: one task that publishes, and two topics with the same prices.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{MissedTickBehavior, interval};
use towline::http::StatusCode;
use towline::topics::{TopicOptions, Topics};
use towline::{Config, Message, Request, Result as Towline, Server, WhenFull};

pub(crate) async fn run(address: &str, rate: u32) -> Result<(), Box<dyn Error>> {
    let topics = Topics::builder().options(options).build();
    // A member is slow when more than this is queued for it. The default is 256 KiB, some thousand prices.
    // Less means that prices on the way are younger; it should hold the largest burst that is published at
    // once.
    let config = Config::server().send_high_water_mark(8 << 10);
    let builder = Server::builder().config(config).topics(topics.clone());
    let mut server = builder.listen(listener(address.parse()?)?);
    println!("listening on {}", server.local_addr()?);
    tokio::spawn(publish(topics.clone(), rate));
    while let Some(request) = server.next_request().await {
        let topics = topics.clone();
        tokio::spawn(async move {
            if let Err(error) = attend(request, topics).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

/// The kernel has a queue for each connection, too, of megabytes if it is left alone. Those that are
/// accepted have the sizes of the listening socket.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(16 << 10)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// What becomes of members that are slow, by the name of the topic.
fn options(topic: &str) -> TopicOptions {
    let options = TopicOptions::default();
    match topic {
        "newest" => options.when_full(WhenFull::KeepNewest(NonZeroUsize::MIN)),
        // Sent ahead of the next price after a gap.
        _ => options
            .when_full(WhenFull::Skip)
            .notice(|missed| Message::text(json!({ "missed": missed }).to_string())),
    }
}

/// Publishes prices until the program ends. No member can hold this task up.
async fn publish(topics: Topics, rate: u32) {
    let mut due = interval(Duration::from_secs(1) / rate.max(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 1_u64.. {
        due.tick().await;
        // A walk that needs no random numbers.
        let price = 100 + (number * 7919) % 13;
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let quote = json!({ "number": number, "price": price, "at": at }).to_string();
        for topic in ["every", "newest"] {
            // A topic without members is not created, and is nothing to publish to.
            if let Some(topic) = topics.get(topic) {
                topic.publish(&quote).await;
            }
        }
    }
}

/// A client: it listens, and its connection is watched for its end.
async fn attend(request: Request, topics: Topics) -> Towline<()> {
    let topic = request.path().trim_start_matches('/').to_owned();
    if !["every", "newest"].contains(&topic.as_str()) {
        return request.reject(StatusCode::NOT_FOUND, "try /every or /newest").await;
    }
    let mut connection = request.accept().await?;
    let topic = topics.topic(topic)?;
    topic.join(&connection).await?;
    // What clients say is dropped. Receiving all the same is how a close is seen.
    let ended = async {
        while connection.recv().await?.is_some() {}
        Ok(())
    }
    .await;
    let skipped = topic.stats().skipped;
    eprintln!("{} has left /{}; {skipped} skipped in all", connection.id(), topic.name());
    ended
}
