//! Echoes every message.

use towline::{Connection, Request, Result};

use crate::quantity::counted;
use crate::say;
use crate::serve::modes::agreed;
use crate::serve::modes::visit::{Done, Mode};
use crate::serve::tally::Tally;

/// State shared by all echoes.
#[derive(Debug)]
pub(crate) struct Echo {
    /// The subprotocols to speak, most preferred first, or `any`.
    protocols: Vec<String>,
    verbose: u8,
    tally: Tally,
}

impl Echo {
    pub(crate) fn new(protocols: Vec<String>, verbose: u8) -> Self {
        Self { protocols, verbose, tally: Tally::default() }
    }

    /// Returns how many messages were echoed, and the error that ended the connection.
    async fn echo(&self, connection: &mut Connection, peer: &str) -> (u64, Option<towline::Error>) {
        let mut echoed = 0;
        loop {
            let message = match connection.recv().await {
                Ok(Some(message)) => message,
                Ok(None) => return (echoed, None),
                Err(error) => return (echoed, Some(error)),
            };
            let length = message.len();
            if self.verbose > 1 {
                let kind = if message.is_text() { "text" } else { "binary" };
                say::note(format_args!("{peer} {kind}, {length} B"));
            }
            // If sending fails, receiving returns how the connection ended.
            if connection.send(message).await.is_ok() {
                self.tally.add(length);
                echoed += 1;
            }
        }
    }
}

impl Mode for Echo {
    type Seat = ();

    async fn accept(&self, request: Request) -> Result<Option<(Connection, ())>> {
        Ok(Some((agreed::accept(request, &self.protocols).await?, ())))
    }

    async fn attend(&self, mut connection: Connection, (): (), peer: &str) -> Done {
        let (echoed, error) = self.echo(&mut connection, peer).await;
        Done { what: format!("{} echoed", counted(echoed, "message")), error }
    }

    fn summary(&self) -> String {
        self.tally.in_words("echoed")
    }
}
