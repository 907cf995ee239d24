//! Messages that are handed out in pieces, held against messages that are assembled.
//!
//! - The pieces of a message are the message, however the bytes are split.
//! - A message that is skipped, or whose rest is dropped, is missing and no other.
//! - The fault is the same, whatever is done with the messages, and it repeats.

use arbitrary::{Result, Unstructured};
use towline_kit::Event;
use towline_proto::{Config, Fault, Inbound, Incoming, Input, MessageKind, Negotiated, Role};

use crate::frames::{agreed, decoded};
use crate::settings;
use crate::wire::{other, role, said};

pub fn run(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

/// What is done with a message whose first piece has come.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Does {
    Reads,
    /// Calls `skip_message`.
    Skips,
    /// Calls `poll`, which drops the rest.
    Polls,
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let role = role(input)?;
    let compression = agreed(role, input)?;
    let pieces = settings::pieces(input)?;
    let does: Vec<Does> = input.arbitrary()?;
    let bytes = said(other(role), true, input)?;

    // The limits are for messages that are assembled.
    let config = Config::server()
        .max_received_frame_size(usize::MAX)
        .max_received_message_size(usize::MAX)
        .max_received_fragments(usize::MAX.try_into().expect("not zero"));
    let compression = compression.as_ref();
    let (whole, fault) = decoded(role, &config, compression, &bytes, &[usize::MAX]);
    let mut decoder = Decoder::new(role, &config, compression, does);
    let their_fault = decoder.decode(&bytes, &pieces);
    assert_eq!(their_fault, fault);
    let mut messages = 0..;
    let is_left = |event: &Event| {
        let is_message = matches!(event, Event::Text(_) | Event::Binary(_));
        !is_message || !messages.next().is_some_and(|number| decoder.dropped.contains(&number))
    };
    let expected: Vec<_> = whole.into_iter().filter(is_left).collect();
    assert_eq!(decoder.events, expected);
    Ok(())
}

struct Decoder {
    inbound: Inbound,
    does: std::vec::IntoIter<Does>,
    /// The message that is read.
    open: Option<(MessageKind, Vec<u8>)>,
    events: Vec<Event>,
    /// How many messages have begun, and the numbers of those that were not read to their end.
    began: usize,
    dropped: Vec<usize>,
    /// Whether `poll` takes the next message.
    polls: bool,
}

impl Decoder {
    fn new(role: Role, config: &Config, compression: Option<&Negotiated>, does: Vec<Does>) -> Self {
        Self {
            inbound: Inbound::new(role, config).with_compression(compression),
            does: does.into_iter(),
            open: None,
            events: Vec::new(),
            began: 0,
            dropped: Vec::new(),
            polls: false,
        }
    }

    fn decode(&mut self, mut bytes: &[u8], pieces: &[usize]) -> Option<Fault> {
        for piece in pieces.iter().cycle() {
            let (now, later) = bytes.split_at((*piece).min(bytes.len()));
            bytes = later;
            let mut chunk = now.to_vec();
            let mut input = Input::new(&mut chunk);
            loop {
                let next = if self.polls {
                    self.inbound.poll(&mut input)
                } else {
                    self.inbound.poll_piece(&mut input)
                };
                match next.into_owned() {
                    Incoming::More | Incoming::End => break,
                    // A piece of a message that is dropped.
                    Incoming::Skipped => {}
                    Incoming::Fault(fault) => {
                        let mut more = [0x81, 0];
                        let again = self.inbound.poll_piece(&mut Input::new(&mut more));
                        assert_eq!(again, Incoming::Fault(fault));
                        return Some(fault);
                    }
                    next => self.take(next),
                }
            }
            if later.is_empty() {
                return None;
            }
        }
        unreachable!("there is a piece")
    }

    fn take(&mut self, next: Event) {
        let Incoming::Piece(piece) = next else {
            if matches!(next, Incoming::Text(_) | Incoming::Binary(_)) {
                self.began += 1;
                self.polls = false;
            }
            self.events.push(next);
            return;
        };
        if let Some((_, payload)) = &mut self.open {
            payload.extend_from_slice(&piece.payload);
        } else {
            self.began += 1;
            self.open = Some((piece.kind, piece.payload.into_owned()));
            let does = self.does.next().unwrap_or(Does::Reads);
            if !piece.is_last && !matches!(does, Does::Reads) {
                self.dropped.push(self.began - 1);
                self.open = None;
                match does {
                    Does::Polls => self.polls = true,
                    _ => self.inbound.skip_message(),
                }
                return;
            }
        }
        if piece.is_last
            && let Some((kind, payload)) = self.open.take()
        {
            self.events.push(match kind {
                MessageKind::Text => {
                    Event::Text(String::from_utf8(payload).expect("valid text").into())
                }
                MessageKind::Binary => Event::Binary(payload.into()),
            });
        }
    }
}
