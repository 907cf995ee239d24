//! Two cores that talk, whatever they are told to do and however their bytes are cut.
//!
//! - Each end receives messages of the other, whole, once, in order: all of them, unless the
//!   connection did not close cleanly.
//! - Once one end closes, both end, at a deadline of theirs at the latest.

use std::io;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use towline_kit::{Event, Pair, event};
use towline_proto::{CloseCode, CloseFrame, Config, Message, Role};

use crate::settings;
use crate::wire::{other, payload, role};

const ENDS: [Role; 2] = [Role::Client, Role::Server];

pub fn run(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

/// What each end was given to send, by its role.
#[derive(Default)]
struct Sent {
    by_client: Vec<Event>,
    by_server: Vec<Event>,
}

impl Sent {
    fn by(&mut self, role: Role) -> &mut Vec<Event> {
        match role {
            Role::Client => &mut self.by_client,
            Role::Server => &mut self.by_server,
        }
    }
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let (client, server) = (config(Config::client(), input)?, config(Config::server(), input)?);
    let mut pair = Pair::new(&client, &server).in_chunks(settings::pieces(input)?);
    let mut sent = Sent::default();
    let mut is_cut = false;
    for _ in 0..input.int_in_range(0..=80)? {
        let role = role(input)?;
        match input.int_in_range(0..=11)? {
            0..=3 => send(&mut pair, role, &mut sent, input)?,
            4 => drop(pair.session(role).ping(input.arbitrary::<Vec<u8>>()?.into())),
            5 => drop(pair.session(role).pong(input.arbitrary::<Vec<u8>>()?.into())),
            6 => pair.stop_reading(role),
            7 => pair.resume_reading(role),
            8 => pair.run(),
            9 => pair.pass(Duration::from_millis(input.int_in_range(0..=9_000)?)),
            _ if input.ratio(1, 4)? => {
                is_cut |= end(&mut pair, role, input)?;
            }
            _ => pair.run(),
        }
    }
    for role in ENDS {
        pair.resume_reading(role);
    }
    pair.run();
    let now = pair.now();
    let _ = pair.session(Role::Client).close(now, normal());
    pair.pass(Duration::from_secs(200));
    assert!(pair.is_over(), "an end is still open");
    for role in ENDS {
        let got: Vec<_> = messages(pair.events(role));
        let theirs = sent.by(other(role));
        assert_eq!(got[..], theirs[..got.len().min(theirs.len())], "received by the {role:?}");
        let is_clean = !is_cut && ENDS.iter().all(|role| pair.closed(*role).is_clean());
        if is_clean {
            assert_eq!(got.len(), theirs.len(), "of what the {:?} sent", other(role));
        }
    }
    Ok(())
}

/// A configuration that takes all that is sent here.
fn config(base: Config, input: &mut Unstructured<'_>) -> Result<Config> {
    let small = settings::config(input)?;
    Ok(base
        .fragment_outgoing_messages(small.fragment_outgoing_messages)
        .fragmentation_threshold(small.fragmentation_threshold)
        .max_received_control_rate(None)
        .send_high_water_mark(small.send_high_water_mark)
        .close_timeout(small.close_timeout)
        .send_timeout(small.send_timeout)
        .keepalive(small.keepalive)
        .compression(settings::deflate(input)?.map(Into::into)))
}

fn send(pair: &mut Pair, role: Role, sent: &mut Sent, input: &mut Unstructured<'_>) -> Result<()> {
    let payload = payload(input)?;
    let (message, event) = match String::from_utf8(payload) {
        Ok(text) => (Message::text(text.clone()), event::text(text)),
        Err(error) => {
            let bytes = error.into_bytes();
            (Message::binary(bytes.clone()), event::binary(bytes))
        }
    };
    if pair.session(role).send(message).is_ok() {
        sent.by(role).push(event);
    }
    Ok(())
}

/// Ends it in one of the ways there are. Returns whether bytes are lost by that.
fn end(pair: &mut Pair, role: Role, input: &mut Unstructured<'_>) -> Result<bool> {
    let now = pair.now();
    match input.int_in_range(0..=4)? {
        0 | 1 => {
            let _ = pair.session(role).close(now, normal());
            return Ok(false);
        }
        2 => pair.session(role).abort(normal()),
        3 => pair.cut(),
        _ => pair.fail(io::ErrorKind::ConnectionReset),
    }
    Ok(true)
}

fn normal() -> CloseFrame {
    CloseFrame::new(CloseCode::NORMAL, "done".to_owned()).expect("a valid close frame")
}

fn messages(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| matches!(event, Event::Text(_) | Event::Binary(_))).collect()
}
