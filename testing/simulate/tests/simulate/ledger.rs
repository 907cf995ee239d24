//! Numbered messages, and what became of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;
use towline::{CloseCode, Closed, Config, Message};

use crate::link::SERVER;

/// Names one message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) link: usize,
    /// The side that sends it.
    pub(crate) side: usize,
    /// The sender, of those of that side.
    pub(crate) sender: usize,
    pub(crate) number: usize,
    pub(crate) len: usize,
}

impl Ticket {
    /// Returns its message, which says all of the ticket: text or binary, and good or bad to
    /// compress.
    pub(crate) fn message(self) -> Message {
        let Self { link, side, sender, number, len } = self;
        let mut text = format!("{link} {side} {sender} {number} {len} ");
        let mut fill = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        while text.len() < len {
            if number.is_multiple_of(3) {
                text.push_str("all alike ");
            } else {
                fill = fill.rotate_left(9).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ text.len() as u64;
                let _ = write!(text, "{fill:x}");
            }
        }
        if number.is_multiple_of(2) { Message::text(text) } else { Message::binary(text) }
    }

    /// Returns the ticket of a message, unless there is a difference to what was sent.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let bytes = message.clone().into_bytes();
        let head = bytes.split(|byte| *byte == b' ').take(5);
        let numbers: Option<Vec<usize>> =
            head.map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect();
        let Ok([link, side, sender, number, len]) = <[usize; 5]>::try_from(numbers?) else {
            return None;
        };
        let ticket = Self { link, side, sender, number, len: len.min(1 << 20) };
        (ticket.message() == *message).then_some(ticket)
    }
}

/// What one end of a connection has done and seen.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) link: usize,
    pub(crate) side: usize,
    pub(crate) config: Config,
    pub(crate) established: Instant,
    /// The numbers that `send` accepted, by sender.
    pub(crate) accepted: BTreeMap<usize, Vec<usize>>,
    /// The numbers that came, by the peer's sender.
    pub(crate) received: BTreeMap<usize, Vec<usize>>,
    /// The messages that came back as unsent.
    pub(crate) unsent: Vec<Ticket>,
    /// Since when the program has been receiving without a pause.
    pub(crate) receiving: Option<Instant>,
    /// Whether one task sends and receives by turns.
    pub(crate) is_whole: bool,
    /// The longest pause of the program.
    pub(crate) pause: Duration,
    /// When the program was told that there is no more to receive.
    pub(crate) told: Option<Instant>,
    /// Whether the program has received everything up to a clean close.
    pub(crate) is_drained: bool,
    /// When the program began to close, and with what.
    pub(crate) closing: Option<(Instant, CloseCode)>,
    pub(crate) closed: Option<(Instant, Closed)>,
    pub(crate) has_crashed: bool,
    /// When the program let go of the connection.
    pub(crate) dropped: Option<Instant>,
}

impl Ledger {
    pub(crate) fn new(link: usize, side: usize, config: Config) -> Self {
        let now = Instant::now();
        Self {
            link,
            side,
            config,
            established: now,
            accepted: BTreeMap::new(),
            received: BTreeMap::new(),
            unsent: Vec::new(),
            receiving: None,
            is_whole: false,
            pause: Duration::ZERO,
            told: None,
            is_drained: false,
            closing: None,
            closed: None,
            has_crashed: false,
            dropped: None,
        }
    }

    pub(crate) fn name(&self) -> String {
        let side = if self.side == SERVER { "server" } else { "client" };
        format!("link {}, {side}", self.link)
    }

    pub(crate) fn accept(&mut self, ticket: Ticket) {
        self.accepted.entry(ticket.sender).or_default().push(ticket.number);
    }

    /// Notes a message. Returns what is wrong with it.
    pub(crate) fn receive(&mut self, message: &Message) -> Option<String> {
        let name = self.name();
        let Some(ticket) = Ticket::of(message) else {
            return Some(format!("{name} received a message that was never sent: {message:.60?}"));
        };
        if (ticket.link, ticket.side) != (self.link, 1 - self.side) {
            return Some(format!("{name} received a message of another connection: {ticket:?}"));
        }
        self.received.entry(ticket.sender).or_default().push(ticket.number);
        None
    }
}
