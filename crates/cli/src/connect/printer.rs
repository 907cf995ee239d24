//! Standard output, on its own thread: a slow reader delays messages, but not the connection's
//! pings.

use std::io::{self, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::say;

/// How many writes can be queued before printing waits.
const WAITING: usize = 64;

/// A destination to print to. It is flushed when there is nothing more to write for now.
pub(crate) trait Paper: Send + 'static {
    /// Writes these bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Flushes all bytes written.
    fn flush(&mut self) -> io::Result<()>;
}

/// Prints in the background, in order. Clones print to the same destination.
#[derive(Debug, Clone)]
pub(crate) struct Printer(mpsc::Sender<Job>);

#[derive(Debug)]
enum Job {
    Write(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

/// The destination is gone, such as the reader at the other end of a pipe.
#[derive(Debug)]
pub(crate) struct Gone;

impl Printer {
    /// Starts printing to this destination.
    pub(crate) fn new(paper: impl Paper) -> Self {
        let (jobs, todo) = mpsc::channel(WAITING);
        thread::spawn(move || work(paper, todo));
        Self(jobs)
    }

    /// Queues these bytes, once there is room.
    pub(crate) async fn print(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.0.send(Job::Write(bytes)).await.map_err(|_| Gone)
    }

    /// Waits until all is written.
    pub(crate) async fn flush(&self) -> Result<(), Gone> {
        let (done, is_done) = oneshot::channel();
        self.0.send(Job::Flush(done)).await.map_err(|_| Gone)?;
        is_done.await.map_err(|_| Gone)
    }

    /// Waits until the destination is gone.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// Ends with the last printer, or at the first error.
fn work(mut paper: impl Paper, mut todo: mpsc::Receiver<Job>) {
    while let Some(job) = todo.blocking_recv() {
        let worked = match job {
            Job::Write(bytes) => paper.write(&bytes),
            // The receiver may be gone.
            Job::Flush(done) => paper.flush().map(|()| done.send(()).unwrap_or_default()),
        };
        let flushed = worked.and_then(|()| if todo.is_empty() { paper.flush() } else { Ok(()) });
        if flushed.is_err() {
            return;
        }
    }
}

/// Standard output.
pub(crate) struct Stdout(io::BufWriter<io::Stdout>);

impl Stdout {
    /// Standard output with a buffer.
    pub(crate) fn new() -> Self {
        Self(io::BufWriter::with_capacity(64 << 10, io::stdout()))
    }
}

impl Paper for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        say::written(self.0.write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        say::written(self.0.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Paper for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            if bytes == b"tear" {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_printed_is_there_after_a_flush() {
        let memory = Memory::default();
        let printer = Printer::new(memory.clone());
        printer.print(b"ship ".to_vec()).await.unwrap();
        printer.clone().print(b"ahoy".to_vec()).await.unwrap();
        printer.flush().await.unwrap();
        assert_eq!(*memory.0.lock().unwrap(), b"ship ahoy");
    }

    #[tokio::test]
    async fn a_broken_pipe_is_told() {
        let printer = Printer::new(Memory::default());
        printer.print(b"tear".to_vec()).await.unwrap();
        printer.gone().await;
        assert!(printer.flush().await.is_err());
    }
}
