//! Sends the input, as fast as the server takes it.

use std::sync::Arc;

use towline::{CloseFrame, Message, Sender};

use crate::connect::command::{Command, HELP};
use crate::connect::input::{Input, Inputs};
use crate::connect::output::Output;
use crate::connect::pings::Pings;
use crate::quantity::in_words;

/// How the input ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All of it was sent.
    Over,
    /// The user asked to close the connection with this frame.
    Close(CloseFrame),
    /// Reading it failed, for this reason.
    Failed(String),
    /// The connection is closed for sending.
    Closed,
}

/// Sends the input.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) sender: Sender,
    pub(crate) output: Output,
    pub(crate) pings: Arc<Pings>,
}

/// The result of a line typed at the prompt.
enum Obeyed {
    Done,
    /// A message to send, and a note for after that.
    Message(Message, Option<String>),
    End(End),
}

impl Feed {
    /// Sends the input until it ends. What is not sent when this is dropped stays in the queue.
    pub(crate) async fn run(self, inputs: Inputs) -> End {
        for subscription in self.output.topical.subscriptions() {
            if self.sender.send(subscription.clone()).await.is_err() {
                return End::Closed;
            }
        }
        // Free once the conversation before has ended.
        let mut queue = inputs.lock().await;
        while let Some(input) = queue.first().await {
            let (message, note) = match input {
                Input::Message(message) => (message.clone(), None),
                Input::Line(line) => match self.obey(line).await {
                    Obeyed::Done => {
                        queue.done();
                        continue;
                    }
                    Obeyed::Message(message, note) => {
                        queue.resolve(message.clone());
                        (message, note)
                    }
                    Obeyed::End(end) => return end,
                },
                Input::Failed(reason) => return End::Failed(reason.clone()),
            };
            if self.sender.send(message).await.is_err() {
                return End::Closed;
            }
            // Without an await in between, since the message would be sent twice.
            queue.done();
            if let Some(note) = note {
                self.note(&note).await;
            }
        }
        End::Over
    }

    /// Runs a line typed at the prompt.
    async fn obey(&self, line: &str) -> Obeyed {
        match Command::parse(line) {
            Ok(Command::Text(text)) => {
                return Obeyed::Message(self.output.topical.message(text), None);
            }
            Ok(Command::Binary(path)) => return self.read_file(path).await,
            Ok(Command::Close(frame)) => return Obeyed::End(End::Close(frame)),
            Ok(Command::Ping(text)) => {
                if let Err(error) = self.sender.ping(self.pings.start(text)).await {
                    self.note(&error.to_string()).await;
                }
            }
            Ok(Command::Help) => self.note(HELP).await,
            Err(error) => self.note(&error).await,
        }
        Obeyed::Done
    }

    async fn read_file(&self, path: String) -> Obeyed {
        let read = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                // A pipe or a device may have no end.
                if !std::fs::metadata(&path)?.is_file() {
                    return Err(std::io::Error::other("it is not a regular file"));
                }
                std::fs::read(path)
            }
        });
        match read.await.unwrap_or_else(|error| Err(error.into())) {
            Ok(bytes) => {
                let length = in_words(bytes.len() as u64);
                Obeyed::Message(Message::binary(bytes), Some(format!("sent {path}, {length}")))
            }
            Err(error) => {
                self.note(&format!("can't read {path}: {error}")).await;
                Obeyed::Done
            }
        }
    }

    async fn note(&self, text: &str) {
        // If the output is gone, the connection is closed elsewhere.
        let _ = self.output.note(text).await;
    }
}
