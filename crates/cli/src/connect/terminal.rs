//! The prompt: lines are edited below while messages appear above.
//!
//! The editor blocks in a read of the terminal, on a thread of its own. What ends it from outside
//! is a signal to this process, for which it has a handler while it reads; so the terminal is set
//! back to what it was by the one who changed it.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use tokio::sync::{mpsc, oneshot};

use crate::connect::input::Input;
use crate::connect::printer::Paper;

const PROMPT: &str = "> ";

/// Up and down by one line: nothing to be seen.
const NOTHING: &str = "\u{1b}[A\n";

/// Until when the editor must have noticed a signal; it is sent again if it came between two
/// lines, when the editor has no handler.
const NOTICE: Duration = Duration::from_millis(50);

type Prompt = Editor<(), MemHistory>;

/// A terminal with a prompt.
pub(crate) struct Terminal {
    is_closing: Arc<AtomicBool>,
    is_done: oneshot::Receiver<()>,
}

impl Terminal {
    /// Shows the prompt; what is typed becomes `input`. Returns what prints above it.
    pub(crate) fn open(input: mpsc::Sender<Input>) -> io::Result<(Self, impl Paper)> {
        let config = Config::builder().max_history_size(1000).map_err(io::Error::other)?;
        let config = config.auto_add_history(true).build();
        let history = MemHistory::with_config(&config);
        let mut prompt = Prompt::with_history(config, history).map_err(io::Error::other)?;
        let above = prompt.create_external_printer().ok();
        let is_closing = Arc::new(AtomicBool::new(false));
        let (done, is_done) = oneshot::channel();
        thread::spawn({
            let is_closing = is_closing.clone();
            move || {
                read(&mut prompt, &input, &is_closing);
                drop(prompt);
                let _ = done.send(());
            }
        });
        Ok((Self { is_closing, is_done }, Above(above)))
    }

    /// Takes the prompt away, and the line that is being edited with it.
    pub(crate) async fn close(mut self) {
        self.is_closing.store(true, Ordering::SeqCst);
        while self.is_done.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            if !wake() {
                return;
            }
            let _ = tokio::time::timeout(NOTICE, &mut self.is_done).await;
        }
        // The editor leaves the cursor below its line.
        let _ = write!(io::stdout(), "\u{1b}[A\r\u{1b}[J").and_then(|()| io::stdout().flush());
    }
}

/// Whether colours are welcome.
pub(crate) fn has_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Reads lines until it is told to end, or nobody wants them and the user insists.
fn read(prompt: &mut Prompt, input: &mpsc::Sender<Input>, is_closing: &AtomicBool) {
    let mut has_ended = false;
    while !is_closing.load(Ordering::SeqCst) {
        match prompt.readline(PROMPT) {
            // Pressed once too often; who wants to send an empty message has other ways.
            Ok(line) if line.is_empty() => {}
            // While it closes, messages still come, and what is typed is for nobody.
            Ok(line) => drop(input.blocking_send(Input::Line(line))),
            Err(ReadlineError::Signal(_)) if is_closing.load(Ordering::SeqCst) => return,
            Err(_) if has_ended => return,
            Err(ReadlineError::Eof | ReadlineError::Interrupted | ReadlineError::Signal(_)) => {
                has_ended = true;
                drop(input.blocking_send(Input::End));
            }
            Err(error) => {
                has_ended = true;
                let reason = format!("can't read from the terminal: {error}");
                drop(input.blocking_send(Input::Failed(reason)));
            }
        }
    }
}

/// Interrupts the editor. Returns whether that can be done.
#[cfg(unix)]
fn wake() -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGINT).is_ok()
}

/// Interrupts the editor. Returns whether that can be done: here it ends with the process, and the
/// shell sets up its console again.
#[cfg(not(unix))]
fn wake() -> bool {
    false
}

/// The lines above the prompt; a terminal that can't do that has them where the cursor is.
struct Above<P>(Option<P>);

impl<P: ExternalPrinter + Send + 'static> Paper for Above<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(above) = &mut self.0
            && above.print(String::from_utf8_lossy(bytes).into_owned()).is_ok()
        {
            return Ok(());
        }
        // The editor is gone.
        io::stdout().write_all(bytes)
    }

    /// The editor takes one line at a time: when it takes this one, it has shown all before.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(above) = &mut self.0 {
            let _ = above.print(NOTHING.to_owned());
        }
        io::stdout().flush()
    }
}
