//! `--record`: writes what happens on the connection to a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use towline::{Closed, Connection, Event, Message};

use crate::connect::clock::rfc3339;
use crate::connect::printer::{Paper, Printer};
use crate::connect::recording::{self, End, Happened};
use crate::exit::{Exit, Failure};

/// Writes to a recording. Clones write to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    printer: Printer,
    /// When the first connection was open.
    start: Arc<OnceLock<Instant>>,
    /// Why writing failed, if it did.
    trouble: Arc<OnceLock<String>>,
}

impl Recorder {
    /// Starts a recording in this file. What was in it is overwritten once there is something to record.
    /// The file can't be one of those that are read, each with its option.
    pub(crate) fn create(path: &Path, read: &[(&str, Option<&Path>)]) -> Result<Self, Failure> {
        for (option, other) in read {
            if other.is_some_and(|other| is_same(path, other)) {
                let file = path.display();
                let message = format!("--record {file} would overwrite the file of {option}");
                return Err(Failure::new(Exit::Usage, message));
            }
        }
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| {
            let message = format!("--record: can't write {}: {error}", path.display());
            Failure::new(Exit::Usage, message)
        })?;
        let trouble = Arc::default();
        let is_old = file.metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
        let tape = Tape { file: BufWriter::new(file), is_old, trouble: Arc::clone(&trouble) };
        Ok(Self { printer: Printer::new(tape), start: Arc::default(), trouble })
    }

    /// A connection is open.
    pub(crate) async fn opened(&self, connection: &Connection) {
        let at = self.start.get_or_init(Instant::now).elapsed();
        let started = rfc3339(SystemTime::now());
        self.write(recording::opened(at, &started, connection)).await;
    }

    /// A message was sent.
    pub(crate) async fn sent(&self, message: &Message) {
        self.happened(End::Client, Happened::Message(message.clone())).await;
    }

    /// A ping was sent.
    pub(crate) async fn pinged(&self, payload: &Bytes) {
        self.happened(End::Client, Happened::Ping(payload.clone())).await;
    }

    /// Something was received.
    pub(crate) async fn received(&self, event: &Event) {
        let happened = match event {
            Event::Message(message) => Happened::Message(message.clone()),
            Event::Ping(payload) => Happened::Ping(payload.clone()),
            Event::Pong(payload) => Happened::Pong(payload.clone()),
            _ => return,
        };
        self.happened(End::Server, happened).await;
    }

    /// A connection has ended.
    pub(crate) async fn closed(&self, closed: &Closed) {
        self.write(recording::closed(self.at(), closed)).await;
    }

    /// Waits until all is written.
    pub(crate) async fn finish(&self) -> Result<(), Failure> {
        let flushed = self.printer.flush().await;
        match (self.trouble.get(), flushed) {
            (Some(why), _) => Err(Failure::new(Exit::Unclean, format!("--record: {why}"))),
            (None, _) => Ok(()),
        }
    }

    async fn happened(&self, from: End, happened: Happened) {
        self.write(recording::line(self.at(), from, &happened)).await;
    }

    fn at(&self) -> Duration {
        self.start.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    async fn write(&self, line: String) {
        // Why it fails is told at the end.
        let _ = self.printer.print(line.into_bytes()).await;
    }
}

/// A file that remembers why writing to it failed.
struct Tape {
    file: BufWriter<File>,
    /// Whether there is something of before in it.
    is_old: bool,
    trouble: Arc<OnceLock<String>>,
}

impl Tape {
    fn told(&self, result: io::Result<()>) -> io::Result<()> {
        result.inspect_err(|error| {
            // The first trouble is the cause of the others.
            let _ = self.trouble.set(format!("can't write: {error}"));
        })
    }
}

impl Paper for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_old {
            let emptied = self.file.get_ref().set_len(0);
            self.told(emptied)?;
            self.is_old = false;
        }
        let written = self.file.write_all(bytes);
        self.told(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.file.flush();
        self.told(flushed)
    }
}

/// Whether both are the same file, by whatever names.
#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// Whether both are the same file, by names that differ only in the way to it.
#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}
