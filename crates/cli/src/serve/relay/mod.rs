//! `--relay`: the broker that connects the topics of several nodes.

#[cfg(feature = "nats")]
mod nats;

#[cfg(not(feature = "nats"))]
#[path = "no_nats.rs"]
mod nats;

#[cfg(feature = "redis")]
mod redis;

#[cfg(not(feature = "redis"))]
#[path = "no_redis.rs"]
mod redis;

use towline::topics::{Topics, TopicsBuilder, TopicsEvent, TopicsEvents};

use crate::exit::{Exit, Failure, in_full};
use crate::quantity::counted;
use crate::say;
use crate::secrets;

/// The result of connecting to a broker.
type Connected = Result<TopicsBuilder, Box<dyn std::error::Error + Send + Sync>>;

/// Refuses a URL that is none of a broker. The error does not show it: it may have a password.
pub(crate) fn check(url: &str) -> Result<(), Failure> {
    match broker(url) {
        Some(_) => Ok(()),
        None => {
            let broker = url.split_once("://").filter(|(scheme, rest)| {
                !rest.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
            let why = broker.map(|(scheme, _)| format!("{scheme}:// is not a broker: "));
            let why = why.unwrap_or_default();
            Err(Failure::new(
                Exit::Usage,
                format!(
                    "--relay: {why}write nats://HOST:PORT, tls://HOST:PORT, redis://HOST:PORT or \
                     rediss://HOST:PORT"
                ),
            ))
        }
    }
}

/// The kinds of brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broker {
    Nats,
    Redis,
}

fn broker(url: &str) -> Option<Broker> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        _ if rest.is_empty() => None,
        "nats" | "tls" => Some(Broker::Nats),
        "redis" | "rediss" => Some(Broker::Redis),
        _ => None,
    }
}

/// Connects to the broker, and adds the relay.
pub(crate) async fn connect(url: &str, builder: TopicsBuilder) -> Result<TopicsBuilder, Failure> {
    let connected = match broker(url) {
        Some(Broker::Nats) => nats::connect(url, builder).await,
        Some(Broker::Redis) => redis::connect(url, builder).await,
        None => return Ok(builder),
    };
    connected.map_err(|error| {
        let shown = secrets::url(url);
        Failure::new(Exit::NoConnection, format!("--relay {shown}: {}", in_full(&*error)))
    })
}

/// Says when the broker is lost, and when it is back.
pub(crate) fn watch(topics: &Topics) {
    tokio::spawn(report(topics.events()));
}

async fn report(mut events: TopicsEvents) {
    while let Some(event) = events.next().await {
        match event {
            TopicsEvent::RelayLost { reason } => say::note(format_args!(
                "the relay has lost its broker: {reason}; no messages between nodes (--relay)"
            )),
            TopicsEvent::RelayBack => say::note("the relay has its broker back (--relay)"),
            TopicsEvent::MessagesLost { messages } => {
                let messages = counted(messages, "message");
                say::note(format_args!("{messages} lost between nodes (--relay)"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_which_broker() {
        assert_eq!(broker("nats://127.0.0.1:4222"), Some(Broker::Nats));
        assert_eq!(broker("TLS://broker"), Some(Broker::Nats));
        assert_eq!(broker("rediss://broker/0"), Some(Broker::Redis));
        for wrong in ["127.0.0.1:4222", "nats://", "amqp://broker", ""] {
            assert!(check(wrong).unwrap_err().message.contains("nats://HOST:PORT"), "{wrong}");
        }
    }
}
