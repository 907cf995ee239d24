//! `--reconnect`: connects again when the connection is lost.

use towline::{Client, Connection, ReconnectEvent, ReconnectEvents, Reconnecting};

use crate::connect::output::Output;
use crate::connect::view::Shown;
use crate::exit::Failure;
use crate::interrupt::Interrupts;
use crate::say;

/// A client that connects again, and says so.
pub(crate) struct Again {
    client: Reconnecting,
    events: ReconnectEvents,
    is_quiet: bool,
}

/// What comes after a connection.
pub(crate) enum Next {
    Connection(Connection),
    /// One of the ends closed the connection as intended, or in a way that is not tried again.
    Ended,
    Interrupted,
}

impl Again {
    pub(crate) fn new(client: &Client, url: &str, is_quiet: bool) -> Self {
        let url = url.to_owned();
        let client = client.reconnecting(move |_| {
            let url = url.clone();
            async move { Ok(url) }
        });
        Self { events: client.events(), client, is_quiet }
    }

    /// Waits for the next connection. What happens meanwhile goes to the output, once there is one.
    pub(crate) async fn next(
        &mut self,
        output: Option<&Output>,
        interrupts: &mut Interrupts,
    ) -> Result<Next, Failure> {
        let Self { client, events, is_quiet } = self;
        loop {
            tokio::select! {
                biased;
                Some(event) = events.next() => {
                    if let Some(text) = in_words(&event) {
                        match output {
                            // If the output is gone, the next conversation notices.
                            Some(output) => drop(output.show(Shown::UnlessQuiet(text)).await),
                            None if *is_quiet => {}
                            None => say::note(text),
                        }
                    }
                }
                () = interrupts.first() => return Ok(Next::Interrupted),
                next = client.next() => return match next {
                    Ok(Some(connection)) => Ok(Next::Connection(connection)),
                    Ok(None) => Ok(Next::Ended),
                    // The conversation has said how.
                    Err(error) if error.closed().is_some() => Ok(Next::Ended),
                    Err(error) => Err(error.into()),
                },
            }
        }
    }
}

fn in_words(event: &ReconnectEvent) -> Option<String> {
    match event {
        ReconnectEvent::Waiting { delay, why } => {
            let seconds = delay.as_secs_f32();
            Some(format!("{why}; connecting again in {seconds:.1} s (--reconnect)"))
        }
        _ => None,
    }
}
