//! Runs a command for each connection, and carries messages to its input and from its output.

mod signal;

mod ending;

mod group;

mod lines;

mod environment;

mod pipes;

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use towline::{CloseCode, Connection, Error, Request, Result, Sender};

use crate::quantity::counted;
use crate::say;
use crate::serve::hosts::{self, Hosts};
use crate::serve::modes::agreed;
use crate::serve::modes::exec::group::{Group, Groups};
use crate::serve::modes::exec::pipes::{Fed, Form, Pumped, feed, log, pump};
use crate::serve::modes::visit::{Done, Mode};
use crate::serve::orders::Orders;
use crate::serve::tally::Tally;

/// How long the log is read after a command has ended, in case that something else has its pipe.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// State shared by all connections.
pub(crate) struct Exec {
    orders: Orders,
    protocols: Vec<String>,
    hosts: Arc<Hosts>,
    /// One for each process that may run.
    slots: Arc<Semaphore>,
    groups: Groups,
    started: Tally,
    received: Tally,
    sent: Tally,
}

/// Why a connection with a command ends.
enum End {
    Client(Option<Error>),
    /// A rule was broken, on either side.
    Fault(CloseCode, String),
    Exited(io::Result<ExitStatus>),
}

impl Exec {
    pub(crate) fn new(orders: Orders, protocols: Vec<String>, hosts: Arc<Hosts>) -> Self {
        let slots = Arc::new(Semaphore::new(orders.max_processes.get()));
        let [started, received, sent] = [(); 3].map(|()| Tally::default());
        let groups = Groups::default();
        Self { orders, protocols, hosts, slots, groups, started, received, sent }
    }

    /// Kills all commands that are running.
    pub(crate) fn kill_all(&self) {
        self.groups.kill_all();
    }

    fn form(&self) -> Form {
        self.orders.max_line.map_or(Form::Raw, Form::Lines)
    }

    fn start(&self, connection: &Connection) -> io::Result<Group> {
        let [program, arguments @ ..] = &self.orders.command[..] else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut command = Command::new(program);
        command.args(arguments);
        environment::set(&mut command, &self.orders.environment, connection);
        self.groups.start(&mut command, self.orders.grace)
    }

    /// Carries messages until the client or the command has ended.
    async fn run(&self, connection: &mut Connection, group: &mut Group) -> End {
        let sender = connection.sender();
        let form = self.form();
        let (exited, ended) = watch::channel(false);
        let stdin = group.child.stdin.take();
        let Some(stdout) = group.child.stdout.take() else { return End::Client(None) };
        let input = feed(connection, stdin, form, &self.received);
        let output = pump(stdout, &sender, form, &ended, self.orders.grace, &self.sent);
        tokio::pin!(input, output);
        let mut has_output = true;
        let status = loop {
            tokio::select! {
                // What the command wrote goes before how it ended.
                biased;
                pumped = &mut output, if has_output => match self.end_of(pumped) {
                    Some(end) => return end,
                    None => has_output = false,
                },
                fed = &mut input => return fed_up(fed),
                status = group.exited() => break status,
                _ = sender.wait_closed() => {
                    // What was received before is the command's, unless it does not read.
                    let fed = timeout(self.orders.grace, &mut input).await;
                    return fed.map_or(End::Client(None), fed_up);
                }
            }
        };
        if has_output {
            exited.send_replace(true);
            let pumped = tokio::select! {
                pumped = &mut output => pumped,
                fed = &mut input => return fed_up(fed),
                never = async { group.end_stragglers().await; std::future::pending().await } => never,
            };
            if let Some(end) = self.end_of(pumped) {
                return end;
            }
        }
        End::Exited(status)
    }

    /// The end of the connection that the end of the output is, if it is one.
    fn end_of(&self, pumped: Pumped) -> Option<End> {
        match pumped {
            // Without a client, the rest of the input is still the command's.
            Pumped::Finished | Pumped::Gone => None,
            Pumped::TooLong => {
                let limit = self.orders.max_line.unwrap_or_default();
                let why =
                    format!("a line of the command is longer than {limit} bytes (--max-line)");
                Some(End::Fault(CloseCode::INTERNAL_ERROR, why))
            }
            Pumped::NotUtf8 => {
                let why = "a line of the command is not UTF-8 (--exec-binary sends any bytes)";
                Some(End::Fault(CloseCode::INTERNAL_ERROR, why.to_owned()))
            }
        }
    }
}

fn fed_up(fed: Fed) -> End {
    match fed {
        Fed::Ended(error) => End::Client(error),
        Fed::Binary => {
            let why = "the command reads lines: send text messages";
            End::Fault(CloseCode::UNSUPPORTED_DATA, why.to_owned())
        }
    }
}

/// Closes with the code and the words for the end of a command.
fn close_with(sender: &Sender, status: &io::Result<ExitStatus>) -> String {
    let (code, words) = match status {
        Ok(status) if status.success() => (CloseCode::NORMAL, "the command has ended".to_owned()),
        Ok(status) => (CloseCode::INTERNAL_ERROR, format!("the command has ended: {status}")),
        Err(error) => {
            (CloseCode::INTERNAL_ERROR, format!("the command can't be waited for: {error}"))
        }
    };
    // It fails only if the connection is closed.
    let _ = sender.start_close(code, &words);
    words
}

/// Waits for the last messages to the log.
async fn finish(mut logging: JoinHandle<()>) {
    if timeout(LAST_WORDS, &mut logging).await.is_err() {
        logging.abort();
    }
}

impl Mode for Exec {
    type Seat = OwnedSemaphorePermit;

    async fn accept(&self, request: Request) -> Result<Option<(Connection, OwnedSemaphorePermit)>> {
        if !self.hosts.admits(&request) {
            hosts::refuse(request).await?;
            return Ok(None);
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            let limit = self.orders.max_processes;
            let reason =
                format!("{limit} commands are running, which is the limit (--max-processes)");
            request.reject(http::StatusCode::SERVICE_UNAVAILABLE, reason).await?;
            return Ok(None);
        };
        Ok(Some((agreed::accept(request, &self.protocols).await?, slot)))
    }

    async fn attend(&self, connection: Connection, slot: OwnedSemaphorePermit, peer: &str) -> Done {
        let mut connection = connection;
        let sender = connection.sender();
        // Only now: a page of another origin must not start commands.
        let mut group = match self.start(&connection) {
            Ok(group) => group,
            Err(error) => {
                let program = self.orders.command.first().cloned().unwrap_or_default();
                let program = program.display();
                say::note(format_args!("{peer} can't have {program} started: {error} (--exec)"));
                let why = "the command can't be started";
                let closed = connection.close(CloseCode::INTERNAL_ERROR, why).await;
                return Done { what: why.to_owned(), error: closed.err() };
            }
        };
        self.started.add(0);
        let id = group.id();
        let stderr = group.child.stderr.take();
        let logging = tokio::spawn({
            let peer = peer.to_owned();
            async move {
                if let Some(stderr) = stderr {
                    log(stderr, peer).await;
                }
            }
        });
        let end = self.run(&mut connection, &mut group).await;
        let (words, error) = match end {
            End::Client(error) => ("ended with the connection".to_owned(), error),
            End::Exited(status) => (close_with(&sender, &status), None),
            End::Fault(code, why) => {
                let _ = sender.start_close(code, &why);
                (why, None)
            }
        };
        // The client closes meanwhile, and what it still sends is dropped.
        let receiving = async { while let Ok(Some(_)) = connection.recv().await {} };
        tokio::join!(group.end(), receiving);
        finish(logging).await;
        drop(slot);
        Done { what: format!("process {id}: {words}"), error }
    }

    fn summary(&self) -> String {
        let processes = counted(self.started.messages(), "process");
        let (received, sent) = (self.received.in_words("received"), self.sent.in_words("sent"));
        format!("{processes}, {received}, {sent}")
    }
}
