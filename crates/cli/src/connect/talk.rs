//! The conversation: sends the input and prints messages until the connection ends.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use towline::{CloseCode, CloseFrame, Closed, Connection, Event, Message};

use crate::connect::feed::{End, Feed};
use crate::connect::input::Inputs;
use crate::connect::output::Output;
use crate::connect::pings::Pings;
use crate::connect::printer::Gone;
use crate::connect::view::{Shown, View};
use crate::connect::wait::Wait;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::quantity::Switch;
use crate::topics::Said;

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
    /// When the last message was received, or the input had been sent.
    heard: Instant,
}

/// Why this end closes.
#[derive(Debug)]
enum Why {
    /// All input was sent and all awaited messages were received.
    Done,
    /// The user asked for it.
    Wanted,
    Interrupted,
    /// The server was silent for long enough.
    Silence,
    /// The output is gone.
    OutputGone,
    /// The input can't be read, or a message can't be saved.
    Failed(String),
}

impl<'a> Talk<'a> {
    pub(crate) fn new(
        connection: Connection,
        output: Output,
        interrupts: Interrupts,
        wait: &'a mut Wait,
    ) -> Self {
        Self {
            connection,
            output,
            interrupts,
            wait,
            pings: Arc::default(),
            why: None,
            error: None,
            refused: None,
            heard: Instant::now(),
        }
    }

    /// Runs until the connection has ended. Returns how it ended, and the exit code. Messages that
    /// were not sent go back to the input.
    pub(crate) async fn run(mut self, inputs: Inputs) -> (Closed, Result<Exit, Failure>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let feed = Feed {
            sender: self.connection.sender(),
            output: self.output.clone(),
            pings: self.pings.clone(),
            taken: taken.clone(),
        };
        let mut feeding = tokio::spawn(feed.run(inputs.clone()));
        self.converse(&mut feeding).await;
        feeding.abort();
        let closed = self.connection.sender().wait_closed().await;
        // Free once the aborted task is gone.
        let mut queue = inputs.lock().await;
        let mut unsent = self.connection.take_unsent();
        // Every connection begins with its own messages, which are before those of the input.
        let own = unsent.len().saturating_sub(taken.load(Ordering::Relaxed));
        unsent.drain(..own);
        queue.put_back(unsent);
        let outcome = self.outcome(&closed, queue.is_sending());
        (closed, outcome)
    }

    async fn converse(&mut self, feeding: &mut JoinHandle<End>) {
        let mut is_fed = false;
        let printer = self.output.printer.clone();
        loop {
            if self.wait.is_enough() && (is_fed || !self.wait.sends_all) {
                self.close(Why::Done, &CloseFrame::EMPTY);
            }
            let is_open = self.why.is_none();
            let silence = self.wait.silence.map(|silence| self.heard + silence);
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
                    self.heard = Instant::now();
                    self.fed(end.unwrap_or(End::Closed));
                }
                () = self.interrupts.first(), if is_open => {
                    self.close_with(Why::Interrupted, CloseCode::GOING_AWAY, "");
                }
                () = printer.gone(), if is_open => {
                    self.close(Why::OutputGone, &CloseFrame::EMPTY);
                }
                () = until(silence), if is_open && is_fed => {
                    self.close(Why::Silence, &CloseFrame::EMPTY);
                }
            }
        }
    }

    async fn show(&mut self, event: Event) -> Result<(), Gone> {
        let view = self.output.view;
        if let Some(recorder) = &self.output.recorder {
            recorder.received(&event).await;
        }
        let shown = match event {
            // Closing takes a moment.
            Event::Message(_) if self.wait.is_over() => return Ok(()),
            Event::Message(message) => {
                self.heard = Instant::now();
                self.compare(&message).await?;
                // Only at a prompt can the user ask for it again.
                let number = match view {
                    View::Prompt(_) => self.output.kept.keep(&message),
                    _ => 0,
                };
                match (message.as_text(), &self.output.saving) {
                    (Some(text), _) if self.output.topical.is_on() => self.hear(text, number),
                    (None, Some(_)) => self.save(message, number).await,
                    _ => {
                        self.wait.received += 1;
                        view.message(&message, number)
                    }
                }
            }
            Event::Ping(payload) => view.ping(&payload),
            Event::Pong(payload) => view.pong(&payload, self.pings.answered(&payload)),
            _ => return Ok(()),
        };
        match self.why {
            Some(Why::OutputGone) => return Ok(()),
            // The user waits for the end, which a flood of messages would delay.
            Some(Why::Interrupted) if matches!(view, View::Prompt(_)) => return Ok(()),
            _ => {}
        }
        self.output.show(shown).await
    }

    /// Shows how the message differs from the recording, if it does.
    async fn compare(&self, message: &Message) -> Result<(), Gone> {
        let comparison = self.output.comparison.as_ref();
        match comparison.and_then(|comparison| comparison.check(message)) {
            Some(difference) => self.output.show(self.output.view.differs(&difference)).await,
            None => Ok(()),
        }
    }

    /// Saves a binary message to a file.
    async fn save(&mut self, message: Message, number: u64) -> Shown {
        self.wait.received += 1;
        let count = self.wait.received;
        let view = self.output.view;
        let Some(saving) = self.output.saving.clone() else {
            return view.message(&message, number);
        };
        let saved = tokio::task::spawn_blocking({
            let message = message.clone();
            move || saving.save(message.as_bytes())
        });
        match saved.await.unwrap_or_else(|error| Err(error.into())) {
            Ok(path) => view.saved(message.as_bytes(), &path, number),
            Err(error) => {
                let why = format!("--save: can't write message {count}: {error}");
                self.close(Why::Failed(why), &CloseFrame::EMPTY);
                view.message(&message, number)
            }
        }
    }

    /// What the server says in the subprotocol of topics. Answers are not among the awaited messages.
    fn hear(&mut self, text: &str, number: u64) -> Shown {
        let view = self.output.view;
        let said = Said::parse(text);
        match &said {
            Said::Data { .. } | Said::Other(_) => self.wait.received += 1,
            Said::Refused { why, of_subscription } => {
                // At a prompt, the user sees it and goes on.
                let is_prompt = matches!(view, View::Prompt(_));
                if !is_prompt && self.refused.is_none() {
                    self.refused = Some(why.clone());
                }
                if !is_prompt && *of_subscription {
                    self.close(Why::Done, &CloseFrame::EMPTY);
                }
            }
            Said::Subscribed { .. } | Said::Skipped { .. } => {}
        }
        view.said(&said, number)
    }

    fn fed(&mut self, end: End) {
        match end {
            // Closed once the awaited messages have been received.
            End::Over | End::Closed => {}
            End::Close(frame) => self.close(Why::Wanted, &frame),
            End::Failed(reason) => self.close(Why::Failed(reason), &CloseFrame::EMPTY),
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
            Some(Why::Failed(reason)) => {
                return Err(Failure::new(Exit::Unclean, reason.clone()));
            }
            Some(Why::Done | Why::Wanted | Why::Silence) | None => {}
        }
        if let Some(failure) = Failure::of(closed) {
            return Err(failure.told_by(self.error.as_ref(), closed));
        }
        if let Some(why) = &self.refused {
            return Err(Failure::new(Exit::Unclean, format!("the server refuses: {why}")));
        }
        if matches!(self.why, Some(Why::Done | Why::Wanted)) {
            return Ok(Exit::Success);
        }
        let Wait { received, wanted, option, .. } = *self.wait;
        match (wanted, option) {
            (Switch::On(wanted), Some(option)) if received < wanted => {
                let ended = match self.why {
                    Some(Why::Silence) => "the server was silent".to_owned(),
                    _ => closed.to_string(),
                };
                let message = format!("{ended} after {received} of {wanted} messages ({option})");
                Err(Failure::new(Exit::Unclean, message))
            }
            _ if self.why.is_some() => Ok(Exit::Success),
            _ if is_sending => {
                let message = format!("{closed} before all of the input was sent");
                Err(Failure::new(Exit::Unclean, message))
            }
            _ => Ok(Exit::Success),
        }
    }
}

/// Waits until then, or forever.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => pending().await,
    }
}
