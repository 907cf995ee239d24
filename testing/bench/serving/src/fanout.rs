//! Servers that fan out, with `--fanout`: the path of a request says what its connection is for, and the
//! program's own code says how messages reach the members of a topic.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use crate::listening;
use crate::options::Options;

/// The text that a member is sent once it gets everything published from then on.
pub const JOINED: &str = "joined";

/// How many messages a member of a [`Channels`] topic can be behind by.
const CHANNEL: usize = 1024;

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// `/join/TOPIC`: it is sent [`JOINED`], then what is published to the topic.
    Member(String),
    /// `/publish/TOPIC`: each message that it sends is published to the topic.
    Publisher(String),
}

impl Role {
    /// Returns the role for the path of a request.
    ///
    /// # Errors
    ///
    /// If the path is another one.
    pub fn of(path: &str) -> Result<Self> {
        let member = path.strip_prefix("/join/").map(|topic| Self::Member(topic.to_owned()));
        let publisher =
            || path.strip_prefix("/publish/").map(|topic| Self::Publisher(topic.to_owned()));
        member.or_else(publisher).with_context(|| format!("no role for {path:?}"))
    }
}

/// A broadcast channel for each topic, for libraries without topics.
pub struct Channels<T>(Mutex<HashMap<String, broadcast::Sender<T>>>);

impl<T> Default for Channels<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Channels<T> {
    /// Returns the channel of a topic.
    pub fn topic(&self, name: &str) -> broadcast::Sender<T> {
        self.topic_of(name, CHANNEL)
    }

    /// The same; if it is new, it keeps this many messages.
    pub fn topic_of(&self, name: &str, capacity: usize) -> broadcast::Sender<T> {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(name.to_owned()).or_insert_with(|| broadcast::Sender::new(capacity)).clone()
    }
}

/// Runs a server that serves every connection in a separate task, with what they share.
///
/// # Errors
///
/// If listening fails.
pub fn run<T, F>(options: &Options, shared: T, serve: fn(TcpStream, Arc<T>) -> F) -> Result<()>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (shared, verbose) = (Arc::new(shared), options.verbose);
    listening::run_on(options, move |listener| accept(listener, shared.clone(), serve, verbose))
}

async fn accept<T, F>(
    listener: TcpListener,
    shared: Arc<T>,
    serve: fn(TcpStream, Arc<T>) -> F,
    verbose: bool,
) -> Result<()>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    loop {
        let stream = listening::accept(&listener).await?;
        listening::spawn(serve(stream, shared.clone()), verbose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_a_connection_is_for() {
        assert_eq!(Role::of("/join/7").unwrap(), Role::Member("7".into()));
        assert_eq!(Role::of("/publish/a/b").unwrap(), Role::Publisher("a/b".into()));
        assert!(Role::of("/").is_err());
    }

    #[test]
    fn all_connections_of_a_topic_share_its_channel() {
        let channels = Channels::<u8>::default();
        let mut member = channels.topic("a").subscribe();
        assert!(channels.topic("b").send(1).is_err());
        channels.topic("a").send(2).unwrap();
        assert_eq!(member.try_recv(), Ok(2));
    }
}
