//! A thread of the generator: its connections, and how they begin and end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use towline::{Client, CloseCode, Closed, Connection, Error, ErrorKind, Sender};

use crate::bench::payload::{Place, Source};
use crate::bench::results::{LONGEST, Scenario};
use crate::bench::run::{Run, Stage};
use crate::bench::tally::{Counts, Tally};
use crate::exit::{Exit, Failure, in_full};

/// What the tasks of a thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) run: Arc<Run>,
    pub(crate) tally: Arc<Tally>,
    /// Which thread it is, from 0.
    pub(crate) index: u64,
    client: Client,
    /// Those of the open connections.
    senders: Mutex<Vec<Sender>>,
}

impl Worker {
    pub(crate) fn new(run: Arc<Run>, tally: Arc<Tally>, index: u64, client: Client) -> Self {
        Self { run, tally, index, client, senders: Mutex::default() }
    }

    /// The numbers of this thread's connections.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let plan = &self.run.plan;
        let step = usize::try_from(plan.threads).unwrap_or(usize::MAX);
        (plan.first + self.index..plan.first + plan.connections).step_by(step)
    }

    /// Waits until a connection is to be opened. Returns whether it still is.
    pub(crate) async fn turn(&self, number: u64) -> bool {
        let plan = &self.run.plan;
        let position = u128::from(number - plan.first);
        let delay = plan.ramp.as_nanos() * position / u128::from(plan.connections);
        if delay > 0 {
            let time = self.run.at(u64::try_from(delay).unwrap_or(u64::MAX));
            tokio::select! {
                () = tokio::time::sleep_until(time) => {}
                () = self.run.reached(Stage::Drain) => {}
            }
        }
        self.run.stage() < Stage::Drain
    }

    /// Connects. Returns how long it took, too. Failures are counted. At the end of the run it is given
    /// up, which is none.
    pub(crate) async fn connect(&self, due: Option<u64>) -> Option<(Connection, u64)> {
        let connecting = async {
            // It is never closed.
            let permit = self.run.gate.acquire().await.ok();
            let start = due.unwrap_or_else(|| self.run.now());
            let connected = self.client.connect(&self.run.plan.url).await;
            drop(permit);
            (connected, start)
        };
        let (connected, start) = tokio::select! {
            biased;
            connected = connecting => connected,
            () = self.run.reached(Stage::Close) => return None,
        };
        match connected {
            Ok(connection) => Some((connection, self.run.now().saturating_sub(start))),
            Err(error) => {
                let kind = kind_of(&error);
                let failure = Failure::from(error);
                self.tally.lock().failed(&kind, || failure.to_string());
                self.run.keep(failure);
                None
            }
        }
    }

    /// Opens a connection that stays open.
    pub(crate) async fn open(&self, number: u64) -> Option<Connection> {
        let opened = self.connect(None).await;
        let mut counts = self.tally.lock();
        counts.settled += 1;
        let Some((connection, took)) = opened else {
            counts.whole.totals.failed += u64::from(self.run.stage() < Stage::Close);
            return None;
        };
        self.opened(&mut counts, &connection, took);
        counts.open += 1;
        drop(counts);
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).push(connection.sender());
        if self.run.stage() == Stage::Close {
            // It came too late for the others' close.
            self.close();
        }
        for (seq, source) in (0..).zip(&self.run.plan.on_open) {
            self.say(&connection, source, number, seq);
        }
        Some(connection)
    }

    /// Counts a connection that was opened.
    pub(crate) fn opened(&self, counts: &mut Counts, connection: &Connection, took: u64) {
        let took = took.clamp(1, LONGEST);
        counts.part.opened += 1;
        counts.ever_opened += 1;
        counts.whole.totals.opened += 1;
        counts.whole.totals.compressed += u64::from(!connection.extensions().is_empty());
        counts.whole.handshakes.saturating_record(took);
        if matches!(self.run.plan.scenario, Scenario::Storm | Scenario::Idle) {
            counts.part.latencies.saturating_record(took);
        }
    }

    /// Sends a message that is not counted.
    fn say(&self, connection: &Connection, source: &Source, number: u64, seq: u64) {
        let connections = self.run.plan.all_connections;
        let place = Place { connection: number, seq, connections, stamp: "" };
        let (made, _) = source.make(place);
        if let Err(error) = connection.try_send(source.message(&made)) {
            let example = || format!("--on-open can't be sent: {error}");
            self.tally.lock().failed("on_open", example);
        }
    }

    /// Counts the end of a connection that was open. It is a loss if the generator did not close it.
    pub(crate) fn ended(&self, closed: Option<&Closed>, error: Option<&Error>) {
        let mut counts = self.tally.lock();
        counts.open = counts.open.saturating_sub(1);
        if self.run.stage() == Stage::Close {
            return;
        }
        counts.whole.totals.lost += 1;
        lost(&mut counts, closed, error);
    }

    /// Closes all connections that are still open.
    pub(crate) fn close(&self) {
        let senders =
            std::mem::take(&mut *self.senders.lock().unwrap_or_else(PoisonError::into_inner));
        for sender in senders {
            // Those that are closed already say so.
            let _ = sender.start_close(CloseCode::NORMAL, "");
        }
    }

    /// How long connections can take to close.
    pub(crate) fn patience(&self) -> Duration {
        self.run.plan.close_timeout + Duration::from_millis(500)
    }

    /// Another receiver of a broadcast, or one less.
    pub(crate) fn count_receiver(&self, is_there: bool) {
        let receivers = &self.run.deliveries.receivers;
        match is_there {
            true => receivers.fetch_add(1, Ordering::Relaxed),
            false => receivers.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// The run can't go on.
    pub(crate) fn give_up(&self, what: &str, error: &std::io::Error) {
        self.run.with_failure(|kept| {
            *kept = Some(Failure::new(Exit::Usage, format!("{what}: {error}")));
        });
    }
}

/// Counts a loss by its kind and its close code.
pub(crate) fn lost(counts: &mut Counts, closed: Option<&Closed>, error: Option<&Error>) {
    let frame = closed.and_then(Closed::received);
    let kind = match (frame, error) {
        (Some(frame), _) => format!("closed_{}", frame.code().get()),
        (None, Some(error)) => kind_of(error),
        (None, None) => "lost".to_owned(),
    };
    let example = || match (error, closed) {
        (Some(error), _) => Failure::new(Exit::Unclean, in_full(error)).to_string(),
        (None, Some(closed)) => Failure::new(Exit::Unclean, closed.to_string()).to_string(),
        (None, None) => "the connection ended".to_owned(),
    };
    counts.failed(&kind, example);
    if let Some(closed) = closed {
        *counts.whole.close_codes.entry(closed.code().get()).or_default() += 1;
    }
}

/// A stable name for an error.
fn kind_of(error: &Error) -> String {
    let status = error.status().map(|status| status.as_u16());
    let name = match (error.kind(), status) {
        (ErrorKind::HttpResponse, Some(status)) => return format!("http_{status}"),
        (ErrorKind::ConnectionLost, _) => "lost",
        (ErrorKind::Connect, _) => match cause(error) {
            Some(cause) if matches!(cause.raw_os_error(), Some(23 | 24)) => "no_descriptors",
            Some(cause) => match cause.kind() {
                std::io::ErrorKind::ConnectionRefused => "refused",
                std::io::ErrorKind::ConnectionReset => "reset",
                std::io::ErrorKind::TimedOut => "timed_out",
                std::io::ErrorKind::AddrNotAvailable => "no_ports",
                std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                    "unreachable"
                }
                _ => "connect",
            },
            None => "connect",
        },
        (kind, _) => return kind.code().trim_start_matches("ERR_").to_ascii_lowercase(),
    };
    name.to_owned()
}

/// The system's error behind it.
fn cause(error: &Error) -> Option<&std::io::Error> {
    let mut cause: &(dyn std::error::Error + 'static) = error.get_ref()?;
    loop {
        if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
            return Some(cause);
        }
        cause = cause.source()?;
    }
}
