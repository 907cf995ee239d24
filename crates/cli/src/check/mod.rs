//! `towline check`: a doctor for WebSocket servers and what lies between.

mod options;

mod finding;

mod report;

mod frames;

mod talk;

mod way;

mod doctor;

mod open;

mod reach;

mod answer;

mod offers;

mod messages;

mod compression;

mod closing;

mod violations;

mod limits;

mod http2;

mod idle;

mod start;

use std::time::Duration;

use tokio::time::Instant;
use towline::Tls;

pub(crate) use options::Options;

use crate::check::answer::{handshake, variants};
use crate::check::doctor::Doctor;
use crate::check::finding::Finding;
use crate::check::report::Run;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::say;
use crate::secrets;

/// Makes the checks and shows the report.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    // Files can be pipes: until they are read, a signal ends the program as usual.
    let tls = options.network.tls()?;
    let mut interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    // Every wait has a deadline of its own. This is for what takes processor time.
    let idle = options.idle.unwrap_or_default();
    let most = options.timeout + 2 * idle + 20 * options.step_timeout;
    let examining = examine(&options, tls, &mut interrupts);
    tokio::time::timeout(most, examining).await.unwrap_or_else(|_| {
        Err(Failure::new(Exit::TimedOut, format!("not finished within {most:?}")))
    })
}

async fn examine(
    options: &Options,
    tls: Option<Tls>,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let mut doctor = tokio::select! {
        doctor = start::doctor(options, tls) => doctor?,
        () = interrupts.first() => return Ok(Exit::Interrupted),
    };
    let url = secrets::target(&doctor.way.target);
    if !options.json {
        let how = if options.gentle { ", gently" } else { "" };
        say::out(format_args!("checking {url}{how}"));
    }
    if options.network.insecure && !options.json {
        say::note("warning: --insecure accepts any certificate: this may be any server");
    }
    let (no_way, is_interrupted) = tokio::select! {
        made = all(&mut doctor, options) => (made.err(), false),
        () = interrupts.first() => (None, true),
    };
    if !doctor.oddities.is_empty() {
        doctor.report.heading("What the server sent");
        let sent = std::mem::take(&mut doctor.oddities);
        for oddity in sent {
            doctor.report.add(
                Finding::fault("sent", format!("the server {oddity}"))
                    .rfc("RFC 6455, section 5")
                    .advice("clients fail the connection: no server may send this"),
            );
        }
    }
    Ok(doctor.report.finish(Run {
        url: &url,
        connections: doctor.opened,
        took: begun.elapsed(),
        is_strict: options.strict,
        is_late: doctor.is_late,
        is_interrupted,
        no_way,
    }))
}

/// The checks. The error is the exit code if no WebSocket opens.
async fn all(doctor: &mut Doctor, options: &Options) -> Result<(), Exit> {
    doctor.report.heading("Reachability");
    reach::reach(doctor).await?;
    doctor.report.heading("Handshake");
    let talk = handshake(doctor).await?;
    doctor.report.heading("Messages");
    messages::messages(doctor, talk).await;
    doctor.report.heading("Other requests");
    variants(doctor).await;
    doctor.report.heading("Subprotocols and Origin");
    offers::subprotocols(doctor).await;
    offers::origins(doctor).await;
    doctor.report.heading("Compression");
    compression::compression(doctor, !options.gentle).await;
    doctor.report.heading("Closing");
    closing::closes(doctor).await;
    if !options.gentle {
        closing::half_open(doctor).await;
        doctor.report.heading("What has to be refused");
        violations::violations(doctor).await;
        doctor.report.heading("Limits");
        limits::limits(doctor, options.max_size).await;
    }
    doctor.report.heading("HTTP/2");
    http2::http2(doctor).await;
    if let Some(time) = options.idle.filter(|time| *time > Duration::ZERO) {
        doctor.report.heading("Idle");
        idle::idle(doctor, time).await;
    }
    Ok(())
}
