//! The conversation: sends the input and prints messages until the connection ends.

use std::sync::Arc;

use tokio::task::JoinHandle;
use towline::{CloseCode, CloseFrame, Closed, Connection, Event};

use crate::connect::feed::{End, Feed};
use crate::connect::input::Inputs;
use crate::connect::output::Output;
use crate::connect::pings::Pings;
use crate::connect::printer::Gone;
use crate::connect::view::{Shown, View};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::quantity::Switch;
use crate::topics::Said;

/// The messages that are awaited, over all connections.
#[derive(Debug)]
pub(crate) struct Wait {
    /// How many messages to receive before closing; `Off` means forever.
    pub(crate) wanted: Switch<u64>,
    pub(crate) received: u64,
}

impl Wait {
    fn is_enough(&self) -> bool {
        self.wanted.on().is_some_and(|wanted| self.received >= wanted)
    }
}

/// A conversation over a connection.
pub(crate) struct Talk<'a> {
    connection: Connection,
    output: Output,
    interrupts: Interrupts,
    wait: &'a mut Wait,
    pings: Arc<Pings>,
    why: Option<Why>,
    /// The error that receiving returned, if any.
    error: Option<towline::Error>,
    /// The first error that the server answered with, in the subprotocol of topics.
    refused: Option<String>,
}

/// Why this end closes.
#[derive(Debug)]
enum Why {
    /// All input was sent and all awaited messages were received.
    Done,
    /// The user asked for it.
    Wanted,
    Interrupted,
    /// The output is gone.
    OutputGone,
    InputFailed(String),
}

impl<'a> Talk<'a> {
    pub(crate) fn new(
        connection: Connection,
        output: Output,
        interrupts: Interrupts,
        wait: &'a mut Wait,
    ) -> Self {
        let pings = Arc::default();
        Self { connection, output, interrupts, wait, pings, why: None, error: None, refused: None }
    }

    /// Runs until the connection has ended. Returns how it ended, and the exit code. Messages that
    /// were not sent go back to the input.
    pub(crate) async fn run(mut self, inputs: Inputs) -> (Closed, Result<Exit, Failure>) {
        let feed = Feed {
            sender: self.connection.sender(),
            output: self.output.clone(),
            pings: self.pings.clone(),
        };
        let mut feeding = tokio::spawn(feed.run(inputs.clone()));
        self.converse(&mut feeding).await;
        feeding.abort();
        let closed = self.connection.sender().wait_closed().await;
        // Free once the aborted task is gone.
        let mut queue = inputs.lock().await;
        let mut unsent = self.connection.take_unsent();
        // Every connection begins with these.
        unsent.retain(|message| !self.output.topical.subscriptions().contains(message));
        queue.put_back(unsent);
        let outcome = self.outcome(&closed, queue.is_sending());
        (closed, outcome)
    }

    async fn converse(&mut self, feeding: &mut JoinHandle<End>) {
        let mut is_fed = false;
        let printer = self.output.printer.clone();
        loop {
            let is_enough = self.wait.is_enough();
            if is_fed && is_enough {
                self.close(Why::Done, &CloseFrame::EMPTY);
            }
            let is_open = self.why.is_none();
            tokio::select! {
                event = self.connection.next_event() => match event {
                    Ok(Some(event)) => {
                        if let Err(Gone) = self.show(event).await {
                            self.close(Why::OutputGone, &CloseFrame::EMPTY);
                        }
                    }
                    // The connection knows how it ended.
                    Ok(None) => return,
                    Err(error) => {
                        self.error = Some(error);
                        return;
                    }
                },
                end = &mut *feeding, if !is_fed => {
                    is_fed = true;
                    self.fed(end.unwrap_or(End::Closed));
                }
                () = self.interrupts.first(), if is_open => {
                    self.close_with(Why::Interrupted, CloseCode::GOING_AWAY, "");
                }
                () = printer.gone(), if is_open => {
                    self.close(Why::OutputGone, &CloseFrame::EMPTY);
                }
            }
        }
    }

    async fn show(&mut self, event: Event) -> Result<(), Gone> {
        let view = self.output.view;
        let shown = match event {
            Event::Message(message) => match message.as_text() {
                Some(text) if self.output.topical.is_on() => self.hear(text),
                _ => {
                    self.wait.received += 1;
                    view.message(&message)
                }
            },
            Event::Ping(payload) => view.ping(&payload),
            Event::Pong(payload) => view.pong(&payload, self.pings.answered(&payload)),
            _ => return Ok(()),
        };
        if let Some(Why::OutputGone) = self.why {
            return Ok(());
        }
        self.output.show(shown).await
    }

    /// What the server says in the subprotocol of topics. Answers are not among the awaited messages.
    fn hear(&mut self, text: &str) -> Shown {
        let view = self.output.view;
        let said = Said::parse(text);
        match &said {
            Said::Data { .. } | Said::Other(_) => self.wait.received += 1,
            Said::Refused { why, of_subscription } => {
                // At a prompt, the user sees it and goes on.
                let is_prompt = matches!(view, View::Prompt { .. });
                if !is_prompt && self.refused.is_none() {
                    self.refused = Some(why.clone());
                }
                if !is_prompt && *of_subscription {
                    self.close(Why::Done, &CloseFrame::EMPTY);
                }
            }
            Said::Subscribed { .. } | Said::Skipped { .. } => {}
        }
        view.said(&said)
    }

    fn fed(&mut self, end: End) {
        match end {
            // Closed once the awaited messages have been received.
            End::Over | End::Closed => {}
            End::Close(frame) => self.close(Why::Wanted, &frame),
            End::Failed(reason) => self.close(Why::InputFailed(reason), &CloseFrame::EMPTY),
        }
    }

    /// Closes with this frame, unless closing already; an empty frame means 1000.
    fn close(&mut self, why: Why, frame: &CloseFrame) {
        match frame.code() {
            CloseCode::NO_STATUS => self.close_with(why, CloseCode::NORMAL, ""),
            code => self.close_with(why, code, frame.reason()),
        }
    }

    fn close_with(&mut self, why: Why, code: CloseCode, reason: &str) {
        if self.why.is_some() {
            return;
        }
        self.why = Some(why);
        // The code and the reason have been checked where they came from.
        let _ = self.connection.start_close(code, reason);
    }

    fn outcome(&self, closed: &Closed, is_sending: bool) -> Result<Exit, Failure> {
        match &self.why {
            Some(Why::Interrupted) => return Ok(Exit::Interrupted),
            Some(Why::OutputGone) => return Ok(Exit::Success),
            Some(Why::InputFailed(reason)) => {
                return Err(Failure::new(Exit::Unclean, reason.clone()));
            }
            Some(Why::Done | Why::Wanted) | None => {}
        }
        if let Some(failure) = Failure::of(closed) {
            return Err(failure.told_by(self.error.as_ref(), closed));
        }
        if let Some(why) = &self.refused {
            return Err(Failure::new(Exit::Unclean, format!("the server refuses: {why}")));
        }
        if self.why.is_some() {
            return Ok(Exit::Success);
        }
        match *self.wait {
            Wait { wanted: Switch::On(wanted), received } if received < wanted => {
                let message = format!("{closed} after {received} of {wanted} messages (--wait)");
                Err(Failure::new(Exit::Unclean, message))
            }
            _ if is_sending => {
                let message = format!("{closed} before all of the input was sent");
                Err(Failure::new(Exit::Unclean, message))
            }
            _ => Ok(Exit::Success),
        }
    }
}
