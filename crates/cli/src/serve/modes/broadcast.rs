//! Sends every message to all other connections of the same path.

use http::StatusCode;
use towline::topics::Topics;
use towline::{Connection, Request, Result};

use crate::quantity::counted;
use crate::serve::modes::agreed;
use crate::serve::modes::visit::{Done, Mode};
use crate::serve::tally::delivered;

/// The most bytes of a path, which is the name of a topic.
const MAX_PATH: usize = 512;

/// State shared by all connections.
pub(crate) struct Broadcast {
    protocols: Vec<String>,
    /// One for each path.
    pub(crate) topics: Topics,
}

impl Broadcast {
    pub(crate) fn new(protocols: Vec<String>) -> Self {
        Self { protocols, topics: Topics::new() }
    }

    async fn relay(&self, connection: &mut Connection, sent: &mut u64) -> Result<()> {
        let topic = self.topics.topic(connection.path())?;
        topic.join(&*connection).await?;
        while let Some(message) = connection.recv().await? {
            topic.publish_except(&*connection, message).await;
            *sent += 1;
        }
        Ok(())
    }
}

impl Mode for Broadcast {
    type Seat = ();

    async fn accept(&self, request: Request) -> Result<Option<(Connection, ())>> {
        if request.path().len() > MAX_PATH {
            let length = request.path().len();
            let reason = format!("the path has {length} bytes; the limit is {MAX_PATH}");
            request.reject(StatusCode::URI_TOO_LONG, reason).await?;
            return Ok(None);
        }
        Ok(Some((agreed::accept(request, &self.protocols).await?, ())))
    }

    async fn attend(&self, mut connection: Connection, (): (), _: &str) -> Done {
        let mut sent = 0;
        let error = self.relay(&mut connection, &mut sent).await.err();
        Done { what: format!("{} broadcast", counted(sent, "message")), error }
    }

    fn summary(&self) -> String {
        let stats = self.topics.stats();
        let sent = counted(stats.published, "message");
        format!("{sent} broadcast, {}", delivered(stats.delivered, stats.skipped))
    }
}
