//! `towline connect`: a client for the terminal and for scripts.

pub(crate) mod options;

mod meaning;

mod command;

mod pings;

mod printer;

mod secured;

mod view;

mod topical;

mod output;

mod input;

mod feed;

mod talk;

mod again;

mod line;

mod history;

mod prompt;

mod keys;

mod terminal;

use std::future::pending;
use std::io::IsTerminal as _;
use std::time::Duration;

use towline::{CloseCode, Connection, Message};

pub(crate) use options::Options;

use crate::connect::again::{Again, Next};
use crate::connect::input::Inputs;
use crate::connect::output::{Output, Talkativeness};
use crate::connect::printer::{Printer, Stdout};
use crate::connect::talk::{Talk, Wait};
use crate::connect::terminal::Terminal;
use crate::connect::topical::Topical;
use crate::connect::view::{Shown, View};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::quantity::Switch;
use crate::say;
use crate::topics::PROTOCOL;

/// Connects, exchanges messages, and reports how the connection ended.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    let mut terminal = None;
    let view = view(&options);
    let outcome = tokio::select! {
        outcome = session(&options, view, interrupts.clone(), &mut terminal) => outcome,
        () = interrupts.second() => Ok((None, Exit::Interrupted)),
        () = elapse(options.timeout) => Err(Failure::new(
            Exit::TimedOut,
            format!("not finished within {:?} (--timeout)", options.timeout.unwrap_or_default()),
        )),
    };
    if let Some(terminal) = terminal {
        terminal.close().await;
    }
    match outcome {
        Ok((farewell, exit)) => {
            if let Some(farewell) = farewell {
                say::out(farewell);
            }
            Ok(exit)
        }
        Err(failure) => {
            if let Some(Shown::Always(event)) = view.failed(&failure) {
                say::out(String::from_utf8_lossy(&event).trim_end());
            }
            if let Some(refusal) = failure.refusal.as_ref().filter(|_| options.verbose) {
                refusal.lines().into_iter().for_each(say::note);
            }
            Err(failure)
        }
    }
}

/// Runs from connecting to the end of the connection. Returns the last line to print once the
/// prompt is gone.
async fn session(
    options: &Options,
    view: View,
    mut interrupts: Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Option<String>, Exit), Failure> {
    let client = options.client()?;
    if options.network.insecure && !options.quiet {
        say::note("warning: --insecure accepts any certificate: this may be any server");
    }
    if options.reconnect {
        let again = Again::new(&client, &options.url, options.quiet);
        return sessions(options, again, view, interrupts, terminal).await;
    }
    let connection = tokio::select! {
        connection = client.connect(&options.url) => connection?,
        () = interrupts.first() => return Ok((None, Exit::Interrupted)),
    };
    let (inputs, output) = streams(options, view, &interrupts, terminal)?;
    talk(connection, output, inputs, interrupts, &mut wait(options)).await
}

/// The same, with a new connection when one is lost. The outcome is that of the last one.
async fn sessions(
    options: &Options,
    mut again: Again,
    view: View,
    mut interrupts: Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Option<String>, Exit), Failure> {
    let mut wait = wait(options);
    let mut streams_open = None;
    let mut outcome = Ok((None, Exit::Success));
    loop {
        let output = streams_open.as_ref().map(|(_, output)| output);
        let connection = match again.next(output, &mut interrupts).await? {
            Next::Connection(connection) => connection,
            Next::Ended => return outcome,
            Next::Interrupted => return Ok((None, Exit::Interrupted)),
        };
        let (inputs, output): &(Inputs, Output) = match &mut streams_open {
            Some(open) => open,
            closed => closed.insert(streams(options, view, &interrupts, terminal)?),
        };
        let (inputs, output) = (inputs.clone(), output.clone());
        outcome = talk(connection, output, inputs, interrupts.clone(), &mut wait).await;
    }
}

fn wait(options: &Options) -> Wait {
    // A subscriber that publishes nothing is there to receive.
    let only_receives = !options.subscribe.is_empty() && options.publish.is_none();
    let default = if only_receives { Switch::Off } else { Switch::On(0) };
    Wait { wanted: options.wait.unwrap_or(default), received: 0 }
}

async fn talk(
    mut connection: Connection,
    output: Output,
    inputs: Inputs,
    interrupts: Interrupts,
    wait: &mut Wait,
) -> Result<(Option<String>, Exit), Failure> {
    let view = output.view;
    // If the output is gone, the conversation notices.
    let _ = output.show(view.opened(&connection)).await;
    if let Some(shown) = connection.tls().and_then(|tls| view.secured(tls)) {
        let _ = output.show(shown).await;
    }
    if !output.topical.is_understood(&connection) {
        let spoken = connection.protocol().map_or("none".to_owned(), ToString::to_string);
        // Whatever the server answers, this is over.
        let _ = connection.close(CloseCode::NORMAL, "").await;
        let message = format!(
            "the server does not speak {PROTOCOL} (--subscribe, --publish): its subprotocol is {spoken}"
        );
        return Err(Failure::new(Exit::Refused, message));
    }
    let talk = Talk::new(connection, output.clone(), interrupts, wait);
    let (closed, outcome) = talk.run(inputs).await;
    let shown = view.closed(&closed);
    if let View::Prompt { .. } = view {
        let _ = output.printer.flush().await;
        // The failure says the same.
        return outcome.map(|exit| (farewell(shown, output.talkativeness), exit));
    }
    let _ = output.show(shown).await;
    let _ = output.printer.flush().await;
    outcome.map(|exit| (None, exit))
}

fn farewell(shown: Shown, talkativeness: Talkativeness) -> Option<String> {
    match shown {
        Shown::UnlessQuiet(text) if talkativeness > Talkativeness::Quiet => Some(text),
        _ => None,
    }
}

fn view(options: &Options) -> View {
    if options.json {
        View::Json
    } else if options.is_interactive() {
        View::Prompt { in_colour: terminal::has_colour() }
    } else if std::io::stdout().is_terminal() {
        View::Terminal
    } else if options.binary {
        View::Raw
    } else {
        View::Lines
    }
}

/// The input and the output.
fn streams(
    options: &Options,
    view: View,
    interrupts: &Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Inputs, Output), Failure> {
    let topical = Topical::new(&options.subscribe, options.publish.as_deref());
    let (inputs, printer) = inputs(options, &topical, view, interrupts, terminal)?;
    let talkativeness = match (options.quiet, options.verbose) {
        (true, _) => Talkativeness::Quiet,
        (_, true) => Talkativeness::Verbose,
        _ => Talkativeness::Normal,
    };
    Ok((inputs, Output { printer, view, talkativeness, topical }))
}

fn inputs(
    options: &Options,
    topical: &Topical,
    view: View,
    interrupts: &Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Inputs, Printer), Failure> {
    if let View::Prompt { .. } = view {
        let (input, inputs) = input::channel();
        let (opened, above) = Terminal::open(input, interrupts.clone()).map_err(|error| {
            Failure::new(Exit::Unclean, format!("can't show a prompt: {error}"))
        })?;
        *terminal = Some(opened);
        return Ok((input::shared(inputs), Printer::new(above)));
    }
    let topical = topical.clone();
    let inputs = if !options.reads_input() {
        let texts = options.message.iter().cloned();
        input::given(match options.binary {
            true => texts.map(Message::binary).collect(),
            false => texts.map(|text| topical.message(text)).collect(),
        })
    } else if options.binary {
        input::whole()
    } else {
        input::lines(move |text| topical.message(text))
    };
    Ok((input::shared(inputs), Printer::new(Stdout::new())))
}

/// Waits for this long, or forever.
async fn elapse(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => pending().await,
    }
}
