//! `towline connect`: a client for the terminal and for scripts.

mod json;

mod canonical;

mod fold;

mod binary;

mod look;

mod kept;

pub(crate) mod clock;

mod printer;

mod recording;

mod recorder;

mod comparison;

mod meaning;

mod command;

mod file;

mod prelude;

mod pings;

mod input;

mod replay;

mod wait;

mod display;

mod background;

mod tape;

pub(crate) mod options;

mod secured;

mod handshake;

mod view;

mod topical;

mod output;

mod plan;

mod feed;

mod talk;

mod again;

mod line;

mod history;

mod prompt;

mod keys;

mod completing;

mod suspended;

mod terminal;

use std::future::pending;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use towline::{Client, CloseCode, Connection, Message};

pub(crate) use options::Options;

use crate::connect::again::{Again, Next};
use crate::connect::binary::Form;
use crate::connect::input::Inputs;
use crate::connect::output::{Output, Talkativeness};
use crate::connect::plan::Plan;
use crate::connect::printer::{Printer, Stdout};
use crate::connect::talk::Talk;
use crate::connect::terminal::Terminal;
use crate::connect::topical::Topical;
use crate::connect::view::{Shown, View};
use crate::connect::wait::Wait;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::say;
use crate::screen::{When, is_dumb};
use crate::secrets;
use crate::topics::PROTOCOL;

/// Connects, exchanges messages, and reports how the connection ended.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let view = view(&options);
    // Files can be pipes: until they are read, a signal ends the program as usual.
    let prepared = options.check().and_then(|()| Ok((Plan::new(&options)?, options.client()?)));
    let (plan, client) = prepared.inspect_err(|failure| report(&options, view, failure))?;
    let mut interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    let mut terminal = None;
    let outcome = tokio::select! {
        outcome = session(client, &options, &plan, view, interrupts.clone(), &mut terminal) => outcome,
        () = interrupts.second() => Ok((None, Exit::Interrupted)),
        () = elapse(options.timeout) => Err(Failure::new(
            Exit::TimedOut,
            format!("not finished within {:?} (--timeout)", options.timeout.unwrap_or_default()),
        )),
    };
    if let Some(terminal) = terminal {
        terminal.close().await;
    }
    let recorded = match &plan.recorder {
        Some(recorder) => recorder.finish().await,
        None => Ok(()),
    };
    match outcome.and_then(|done| recorded.map(|()| done)) {
        Ok((farewell, exit)) => {
            if let Some(farewell) = farewell {
                say::out(farewell);
            }
            Ok(exit)
        }
        Err(failure) => {
            report(&options, view, &failure);
            Err(failure)
        }
    }
}

/// Prints what there is to say of a failure besides its line.
fn report(options: &Options, view: View, failure: &Failure) {
    let shows_secrets = options.display.show_secrets;
    if let Some(Shown::Always(event)) = view.failed(failure, shows_secrets) {
        say::out(String::from_utf8_lossy(&event).trim_end());
    }
    if let Some(refusal) = failure.refusal.as_ref().filter(|_| options.verbose) {
        refusal.lines(shows_secrets).into_iter().for_each(say::note);
    }
}

/// Runs from connecting to the end of the connection. Returns the last line to print once the
/// prompt is gone.
async fn session(
    client: Client,
    options: &Options,
    plan: &Plan,
    view: View,
    mut interrupts: Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Option<String>, Exit), Failure> {
    if options.network.insecure && !options.quiet {
        say::note("warning: --insecure accepts any certificate: this may be any server");
    }
    if options.reconnect {
        let again = Again::new(&client, &options.url, options.quiet);
        return sessions(options, plan, again, view, interrupts, terminal).await;
    }
    let connection = tokio::select! {
        connection = client.connect(&options.url) => connection?,
        () = interrupts.first() => return Ok((None, Exit::Interrupted)),
    };
    let (inputs, output) = streams(options, plan, view, &interrupts, terminal)?;
    let shows_secrets = options.display.show_secrets;
    begin(&connection, &output, shows_secrets).await;
    let done =
        talk(connection, output.clone(), inputs, interrupts, &mut plan.wait(options)).await?;
    if let Some(shown) = plan.compared(done.1, &output)? {
        let _ = output.show(shown).await;
    }
    Ok(done)
}

/// The same, with a new connection when one is lost. The outcome is that of the last one.
async fn sessions(
    options: &Options,
    plan: &Plan,
    mut again: Again,
    view: View,
    mut interrupts: Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Option<String>, Exit), Failure> {
    let mut wait = plan.wait(options);
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
            closed => closed.insert(streams(options, plan, view, &interrupts, terminal)?),
        };
        begin(&connection, output, options.display.show_secrets).await;
        let (inputs, output) = (inputs.clone(), output.clone());
        outcome = talk(connection, output, inputs, interrupts.clone(), &mut wait).await;
    }
}

/// Shows and records that a connection is open.
async fn begin(connection: &Connection, output: &Output, shows_secrets: bool) {
    let view = output.view;
    // If the output is gone, the conversation notices.
    let _ = output.show(view.opened(connection, shows_secrets)).await;
    if let Some(shown) = view.handshake(connection, shows_secrets) {
        let _ = output.show(shown).await;
    }
    if let Some(shown) = connection.tls().and_then(|tls| view.secured(tls)) {
        let _ = output.show(shown).await;
    }
    if let Some(recorder) = &output.recorder {
        recorder.opened(connection).await;
    }
}

async fn talk(
    mut connection: Connection,
    output: Output,
    inputs: Inputs,
    interrupts: Interrupts,
    wait: &mut Wait,
) -> Result<(Option<String>, Exit), Failure> {
    let view = output.view;
    if !output.topical.is_understood(&connection) {
        let spoken = connection.protocol().map_or("none", secrets::protocol).to_owned();
        // Whatever the server answers, this is over.
        let _ = connection.close(CloseCode::NORMAL, "").await;
        let message = format!(
            "the server does not speak {PROTOCOL} (--subscribe, --publish): its subprotocol is {spoken}"
        );
        return Err(Failure::new(Exit::Refused, message));
    }
    let talk = Talk::new(connection, output.clone(), interrupts, wait);
    let (closed, outcome) = talk.run(inputs).await;
    if let Some(recorder) = &output.recorder {
        recorder.closed(&closed).await;
    }
    let shown = view.closed(&closed);
    if let View::Prompt(_) = view {
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
        View::Prompt(options.display.look_at_prompt())
    } else if options.binary && !std::io::stdout().is_terminal() {
        View::Raw
    } else if std::io::stdout().is_terminal() || options.display.color == When::Always {
        View::Terminal(options.display.look())
    } else {
        View::Lines(options.display.show_binary.unwrap_or(Form::Raw))
    }
}

/// The input and the output.
fn streams(
    options: &Options,
    plan: &Plan,
    view: View,
    interrupts: &Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Inputs, Output), Failure> {
    let publish = options.publish.as_deref();
    let topical = Topical::new(plan.first.clone(), &options.subscribe, publish);
    let (inputs, printer) = inputs(options, plan, &topical, view, interrupts, terminal)?;
    let talkativeness = match (options.quiet, options.verbose) {
        (true, _) => Talkativeness::Quiet,
        (_, true) => Talkativeness::Verbose,
        _ => Talkativeness::Normal,
    };
    let output = Output {
        printer,
        view,
        talkativeness,
        topical,
        times: plan.times,
        kept: Arc::default(),
        saving: plan.saving.clone(),
        recorder: plan.recorder.clone(),
        comparison: plan.comparison.clone(),
    };
    Ok((inputs, output))
}

fn inputs(
    options: &Options,
    plan: &Plan,
    topical: &Topical,
    view: View,
    interrupts: &Interrupts,
    terminal: &mut Option<Terminal>,
) -> Result<(Inputs, Printer), Failure> {
    if let (View::Prompt(_), true) = (view, is_dumb()) {
        return Ok((input::shared(input::typed()), Printer::new(Stdout::new())));
    }
    if let View::Prompt(_) = view {
        let (input, inputs) = input::channel();
        let (opened, above) = Terminal::open(input, interrupts.clone()).map_err(|error| {
            Failure::new(Exit::Unclean, format!("can't show a prompt: {error}"))
        })?;
        *terminal = Some(opened);
        return Ok((input::shared(inputs), Printer::new(above)));
    }
    let topical = topical.clone();
    let inputs = if let Some(recording) = &plan.replay {
        replay::inputs(recording.sent.clone(), options.tape.speed)
    } else if !options.reads_input() {
        let texts = options.message.iter().cloned();
        input::given(match options.binary {
            true => texts.map(Message::binary).collect(),
            false => texts.map(|text| topical.message(text)).collect(),
        })
    } else if options.binary {
        input::whole()
    } else if options.once {
        input::whole_text(move |text| topical.message(text))
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
