//! What flows between a connection and the pipes of its command.

use std::future::pending;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin};
use tokio::sync::watch;
use tokio::time::sleep;
use towline::{Connection, Error, Sender, Text};

use crate::say;
use crate::serve::modes::exec::lines::{Lines, TooLong};
use crate::serve::tally::Tally;

/// The most bytes of a read.
const READ: usize = 16 << 10;

/// The most bytes of a line in the log.
const LOGGED: usize = 4 << 10;

/// How messages and bytes become each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// A text message is a line of at most this many bytes.
    Lines(usize),
    Raw,
}

/// Why nothing more can be sent to the command.
pub(crate) enum Fed {
    /// The client has closed, or its connection is lost.
    Ended(Option<Error>),
    /// A binary message where lines are.
    Binary,
}

/// Why nothing more is sent to the client.
#[derive(Debug)]
pub(crate) enum Pumped {
    /// The command has closed its output, or has ended and is silent.
    Finished,
    /// The client is gone.
    Gone,
    TooLong,
    NotUtf8,
}

/// From the client to the command, until the connection ends. What the command no longer reads is
/// dropped.
pub(crate) async fn feed(
    connection: &mut Connection,
    stdin: Option<ChildStdin>,
    form: Form,
    tally: &Tally,
) -> Fed {
    let mut stdin = stdin;
    loop {
        let message = match connection.recv().await {
            Ok(Some(message)) => message,
            Ok(None) => return Fed::Ended(None),
            Err(error) => return Fed::Ended(Some(error)),
        };
        if matches!(form, Form::Lines(_)) && !message.is_text() {
            return Fed::Binary;
        }
        let Some(pipe) = &mut stdin else { continue };
        tally.add(message.len());
        let mut written = pipe.write_all(message.as_bytes()).await;
        if let (Form::Lines(_), Ok(())) = (form, &written) {
            written = pipe.write_all(b"\n").await;
        }
        if written.is_err() {
            stdin = None;
        }
    }
}

/// From the command to the client. `ended` becomes true when the command has ended. Then something it
/// has started may have the pipe, and is waited for no longer than `grace` at a time.
pub(crate) async fn pump(
    mut stdout: impl AsyncRead + Unpin,
    sender: &Sender,
    form: Form,
    ended: &watch::Receiver<bool>,
    grace: Duration,
    tally: &Tally,
) -> Pumped {
    let mut lines = Lines::new(match form {
        Form::Lines(limit) => limit,
        Form::Raw => usize::MAX - 1,
    });
    loop {
        lines.buffer.reserve(READ);
        let read = tokio::select! {
            read = stdout.read_buf(&mut lines.buffer) => read.unwrap_or(0),
            () = silence(ended.clone(), grace) => 0,
        };
        let is_over = read == 0;
        let sent = match form {
            Form::Raw => send_raw(&mut lines.buffer, sender, tally).await,
            Form::Lines(_) => send_lines(&mut lines, is_over, sender, tally).await,
        };
        match sent {
            Err(why) => return why,
            Ok(()) if is_over => return Pumped::Finished,
            Ok(()) => {}
        }
    }
}

/// Returns when nothing can be expected any more from a command that has ended.
async fn silence(mut ended: watch::Receiver<bool>, grace: Duration) {
    let has_ended = ended.wait_for(|ended| *ended).await.is_ok();
    if !has_ended {
        return pending().await;
    }
    sleep(grace).await;
}

async fn send_raw(buffer: &mut BytesMut, sender: &Sender, tally: &Tally) -> Result<(), Pumped> {
    if buffer.is_empty() {
        return Ok(());
    }
    let bytes = buffer.split().freeze();
    tally.add(bytes.len());
    sender.send(bytes).await.map_err(|_| Pumped::Gone)
}

async fn send_lines(
    lines: &mut Lines,
    is_over: bool,
    sender: &Sender,
    tally: &Tally,
) -> Result<(), Pumped> {
    let too_long = |TooLong| Pumped::TooLong;
    loop {
        let line = match lines.next().map_err(too_long)? {
            None if is_over => lines.rest().map_err(too_long)?,
            line => line,
        };
        let Some(line) = line else { return Ok(()) };
        tally.add(line.len());
        let text = Text::try_from(line).map_err(|_| Pumped::NotUtf8)?;
        sender.send(text).await.map_err(|_| Pumped::Gone)?;
    }
}

/// Copies the command's messages to the log. Long lines are cut.
pub(crate) async fn log(mut stderr: ChildStderr, peer: String) {
    let mut lines = Lines::new(usize::MAX - 1);
    loop {
        lines.buffer.reserve(LOGGED);
        let is_over = matches!(stderr.read_buf(&mut lines.buffer).await, Ok(0) | Err(_));
        loop {
            let line = match lines.next() {
                Ok(None) if is_over || lines.buffer.len() >= LOGGED => lines.rest(),
                line => line,
            };
            let Ok(Some(line)) = line else { break };
            say::note(format_args!("{peer} stderr: {}", String::from_utf8_lossy(&line)));
        }
        if is_over {
            return;
        }
    }
}
