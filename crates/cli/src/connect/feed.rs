//! Sends the input, as fast as the server takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Whether a message has been read and not been sent.
    pub(crate) is_sending: Arc<AtomicBool>,
}

impl Feed {
    /// Sends the input until it ends.
    pub(crate) async fn run(self, inputs: Inputs) -> End {
        // Free once the conversation before has ended.
        let mut inputs = inputs.lock().await;
        while let Some(input) = inputs.recv().await {
            let end = match input {
                Input::Message(message) => self.send(message).await,
                Input::Line(line) => self.obey(&line).await,
                Input::Failed(reason) => Some(End::Failed(reason)),
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Over
    }

    async fn send(&self, message: Message) -> Option<End> {
        self.is_sending.store(true, Ordering::Relaxed);
        if self.sender.send(message).await.is_err() {
            return Some(End::Closed);
        }
        self.is_sending.store(false, Ordering::Relaxed);
        None
    }

    /// Runs a line typed at the prompt.
    async fn obey(&self, line: &str) -> Option<End> {
        match Command::parse(line) {
            Ok(Command::Text(text)) => return self.send(Message::text(text)).await,
            Ok(Command::Binary(path)) => return self.send_file(path).await,
            Ok(Command::Close(frame)) => return Some(End::Close(frame)),
            Ok(Command::Ping(text)) => {
                if let Err(error) = self.sender.ping(self.pings.start(text)).await {
                    self.note(&error.to_string()).await;
                }
            }
            Ok(Command::Help) => self.note(HELP).await,
            Err(error) => self.note(&error).await,
        }
        None
    }

    async fn send_file(&self, path: String) -> Option<End> {
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
                let end = self.send(Message::binary(bytes)).await;
                if end.is_none() {
                    self.note(&format!("sent {path}, {length}")).await;
                }
                end
            }
            Err(error) => {
                self.note(&format!("can't read {path}: {error}")).await;
                None
            }
        }
    }

    async fn note(&self, text: &str) {
        // If the output is gone, the connection is closed elsewhere.
        let _ = self.output.note(text).await;
    }
}
