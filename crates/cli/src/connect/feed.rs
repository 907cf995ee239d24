//! Sends the input, as fast as the server takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use towline::{CloseFrame, Message, Sender};

use crate::connect::binary::glimpse;
use crate::connect::command::{Command, HELP};
use crate::connect::file;
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
    /// How many messages of the input the connection has taken.
    pub(crate) taken: Arc<AtomicUsize>,
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
        for message in self.output.topical.first() {
            if self.sender.send(message.clone()).await.is_err() {
                return End::Closed;
            }
            self.record(message).await;
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
                Input::Ping(payload) => {
                    let payload = payload.clone();
                    queue.done();
                    self.ping(payload).await;
                    continue;
                }
                Input::Failed(reason) => return End::Failed(reason.clone()),
            };
            if self.sender.send(message.clone()).await.is_err() {
                return End::Closed;
            }
            // Without an await in between, since the message would be sent twice.
            queue.done();
            self.taken.fetch_add(1, Ordering::Relaxed);
            self.record(&message).await;
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
            Ok(Command::Bytes(bytes)) => {
                let note = format!("sent {}", glimpse(&bytes));
                return Obeyed::Message(Message::binary(bytes), Some(note));
            }
            Ok(Command::Show(number)) => match self.output.kept.get(number) {
                Ok((number, message)) => {
                    // If the output is gone, the connection is closed elsewhere.
                    let _ = self.output.show(self.output.view.whole(&message, number)).await;
                }
                Err(error) => self.note(&error).await,
            },
            Ok(Command::Save(number, path)) => self.save(number, path).await,
            Ok(Command::Close(frame)) => return Obeyed::End(End::Close(frame)),
            Ok(Command::Ping(text)) => self.ping(self.pings.start(text)).await,
            Ok(Command::Help) => self.note(HELP).await,
            Err(error) => self.note(&error).await,
        }
        Obeyed::Done
    }

    async fn read_file(&self, path: String) -> Obeyed {
        let read = tokio::task::spawn_blocking({
            let path = path.clone();
            move || file::read(&path)
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

    async fn save(&self, number: Option<u64>, path: String) {
        let (number, message) = match self.output.kept.get(number) {
            Ok(kept) => kept,
            Err(error) => return self.note(&error).await,
        };
        let length = in_words(message.as_bytes().len() as u64);
        let written = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let is_there = std::fs::metadata(&path).is_ok_and(|file| file.is_file());
                std::fs::write(path, message.as_bytes()).map(|()| is_there)
            }
        });
        let text = match written.await.unwrap_or_else(|error| Err(error.into())) {
            Ok(false) => format!("saved message {number} to {path}, {length}"),
            Ok(true) => format!("saved message {number} over what was in {path}, {length}"),
            Err(error) => format!("can't write {path}: {error}"),
        };
        self.note(&text).await;
    }

    async fn ping(&self, payload: Bytes) {
        match self.sender.ping(payload.clone()).await {
            Ok(()) => {
                if let Some(recorder) = &self.output.recorder {
                    recorder.pinged(&payload).await;
                }
            }
            Err(error) => self.note(&error.to_string()).await,
        }
    }

    async fn record(&self, message: &Message) {
        if let Some(recorder) = &self.output.recorder {
            recorder.sent(message).await;
        }
    }

    async fn note(&self, text: &str) {
        // If the output is gone, the connection is closed elsewhere.
        let _ = self.output.note(text).await;
    }
}
