//! The body of a response that is a part of a file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// The most bytes of a read.
const READ: u64 = 64 << 10;

/// A part of a file, read while it is sent. A thread is used only while it reads: a client that is
/// slow holds none.
pub(crate) struct FileBody {
    state: State,
    /// Where to read next.
    at: u64,
    left: u64,
}

enum State {
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    Over,
}

impl FileBody {
    pub(crate) fn new(file: File, from: u64, length: u64) -> Self {
        Self { state: State::Idle(file), at: from, left: length }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            self.state = State::Over;
            return Poll::Ready(None);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Idle(file) => {
                    let (at, length) = (self.at, self.left.min(READ));
                    self.state = State::Reading(spawn_blocking(move || read(file, at, length)));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready(done) = Pin::new(&mut reading).poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    let (file, bytes) =
                        match done.unwrap_or_else(|error| Err(io::Error::other(error))) {
                            Ok(read) => read,
                            Err(error) => return Poll::Ready(Some(Err(error))),
                        };
                    self.at += bytes.len() as u64;
                    self.left -= bytes.len() as u64;
                    self.state = State::Idle(file);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads at most `length` bytes, and at least one. A file that has become shorter is an error: its
/// length is in the head of the response already.
fn read(mut file: File, at: u64, length: u64) -> io::Result<(File, Bytes)> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    (&mut file).take(length).read_to_end(&mut bytes)?;
    match bytes.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")),
        false => Ok((file, bytes.into())),
    }
}
