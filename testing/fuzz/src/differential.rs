//! The same bytes into Towline and into tungstenite.
//!
//! - Both receive the same messages, pings, pongs and close frames, and both accept or refuse the
//!   connection's bytes. [`difference`] lists the cases in which they differ, with the section of
//!   the RFC that decides. Each has a test in `crates/proto/tests/differences.rs`.
//! - Each reads what the other writes.

use std::io::{self, Read, Write};

use arbitrary::{Result, Unstructured};
use bytes::{Buf as _, Bytes};
use towline_kit::Event;
use towline_proto::{Config, Connection, Fault, Message, Role, Violation};
use tungstenite::WebSocket;
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::protocol::{
    CloseFrame, Message as TheirMessage, Role as TheirRole, WebSocketConfig,
};

use crate::frames::decoded;
use crate::settings;
use crate::wire::{other, payload, role, said};

/// Limits of a frame. tungstenite's is for control frames as well, so none is below 125 bytes.
const FRAMES: [usize; 4] = [125, 400, 3_000, 70_000];
const MESSAGES: [usize; 5] = [0, 100, 400, 3_000, 70_000];

pub fn run(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    if input.ratio(1, 5)? { understand(input) } else { judge(input) }
}

/// What one of the two has made of the bytes.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Nothing is wrong so far.
    Open,
    /// The peer's close frame came.
    Closed,
    Refused,
}

/// Both take the bytes of a peer.
fn judge(input: &mut Unstructured<'_>) -> Result<()> {
    let role = role(input)?;
    let frame_limit = *input.choose(&FRAMES)?;
    let message_limit = *input.choose(&MESSAGES)?;
    let pieces = settings::pieces(input)?;
    let mut bytes = said(other(role), false, input)?;

    let config = Config::server()
        .max_received_frame_size(frame_limit)
        .max_received_message_size(message_limit)
        .max_received_fragments(usize::MAX.try_into().expect("not zero"))
        .max_received_control_rate(None);
    let (mut events, fault) = decoded(role, &config, None, &bytes, &pieces);
    if fault.is_some() {
        // tungstenite judges whole frames. So both get all of the frame that is refused, and no
        // more, unless it is incomplete.
        let refuses =
            |len: &usize| decoded(role, &config, None, &bytes[..*len], &[4_096]).1.is_some();
        let end = ends_of_frames(&bytes).find(refuses);
        bytes.truncate(end.unwrap_or(bytes.len()));
    }
    let is_incomplete = ends_of_frames(&bytes).last().unwrap_or(0) < bytes.len();

    let limits = WebSocketConfig::default()
        .max_frame_size(Some(frame_limit))
        .max_message_size(Some(message_limit))
        .read_buffer_size(usize::from(input.arbitrary::<u8>()?) + 1);
    let (theirs, their_verdict) = tungstenite_reads(role, limits, &bytes, &pieces);
    let is_closed = matches!(events.last(), Some(Event::Close(_)));
    let verdict = match fault {
        Some(_) => Verdict::Refused,
        None if is_closed => Verdict::Closed,
        None => Verdict::Open,
    };
    if events == theirs && verdict == their_verdict {
        return Ok(());
    }
    let fault = fault.unwrap_or_else(|| panic!("{verdict:?}, and tungstenite: {their_verdict:?}"));
    // A frame may be refused as soon as its header or a part of its text is there.
    if is_incomplete && their_verdict == Verdict::Open {
        assert_eq!(events, theirs);
        return Ok(());
    }
    let difference = difference(fault);
    assert!(difference.is_some(), "{fault} is {their_verdict:?} for tungstenite");
    // What came before is the same.
    let extra = theirs.len().saturating_sub(events.len());
    assert!(extra <= 1, "{extra} events of the frame that was refused");
    events.extend(theirs.last().filter(|_| extra == 1).cloned());
    assert_eq!(events, theirs);
    Ok(())
}

/// What Towline refuses and tungstenite accepts, with the sentence that decides for Towline.
fn difference(fault: Fault) -> Option<&'static str> {
    Some(match fault {
        Fault::Violation(Violation::NonMinimalLength(_)) => {
            "RFC 6455, section 5.2: the minimal number of bytes MUST be used to encode the length"
        }
        Fault::Violation(Violation::MalformedClose(_)) => {
            "RFC 6455, section 7.4: codes that MUST NOT be set, or are in no range of section 7.4.2"
        }
        _ => return None,
    })
}

/// Where each complete frame ends, whatever it says.
fn ends_of_frames(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at = end_of_frame(bytes, at)?;
        Some(at)
    })
}

fn end_of_frame(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let second = usize::from(*rest.get(1)?);
    let (len_bytes, len) = match second & 0x7F {
        126 => (2, u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?).into()),
        127 => (8, u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?)),
        short => (0, short as u64),
    };
    let head = 2 + len_bytes + if second & 0x80 == 0 { 0 } else { 4 };
    let end = usize::try_from(len).ok()?.checked_add(at + head)?;
    (end <= bytes.len()).then_some(end)
}

/// A transport that yields bytes in pieces, with "not ready" between them, and keeps what is
/// written.
struct Pieces<'b> {
    bytes: &'b [u8],
    pieces: std::iter::Cycle<std::slice::Iter<'b, usize>>,
    is_ready: bool,
    written: Vec<u8>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_ready = !self.is_ready;
        if !self.is_ready || self.bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let piece = *self.pieces.next().expect("a cycle");
        let len = piece.min(buffer.len()).min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenite<'b>(
    role: Role,
    config: WebSocketConfig,
    bytes: &'b [u8],
    pieces: &'b [usize],
) -> WebSocket<Pieces<'b>> {
    let role = match role {
        Role::Client => TheirRole::Client,
        Role::Server => TheirRole::Server,
    };
    let pieces = pieces.iter().cycle();
    let stream = Pieces { bytes, pieces, is_ready: false, written: Vec::new() };
    WebSocket::from_raw_socket(stream, role, Some(config))
}

fn tungstenite_reads(
    role: Role,
    config: WebSocketConfig,
    bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Event>, Verdict) {
    let mut socket = tungstenite(role, config, bytes, pieces);
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(TheirMessage::Text(text)) => {
                events.push(Event::Text(text.as_str().to_owned().into()))
            }
            Ok(TheirMessage::Binary(bytes)) => events.push(Event::Binary(bytes.to_vec().into())),
            Ok(TheirMessage::Ping(bytes)) => events.push(Event::Ping(bytes)),
            Ok(TheirMessage::Pong(bytes)) => events.push(Event::Pong(bytes)),
            Ok(TheirMessage::Frame(frame)) => panic!("{frame:?} instead of a message"),
            Ok(TheirMessage::Close(frame)) => {
                events.push(Event::Close(close_frame(frame)));
                return (events, Verdict::Closed);
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.get_ref().bytes.is_empty() {
                    return (events, Verdict::Open);
                }
            }
            Err(_) => return (events, Verdict::Refused),
        }
    }
}

fn close_frame(theirs: Option<CloseFrame>) -> towline_proto::CloseFrame {
    let Some(theirs) = theirs else { return towline_proto::CloseFrame::EMPTY };
    let code = towline_proto::CloseCode::new(theirs.code.into());
    towline_proto::CloseFrame::new(code, theirs.reason.as_str().to_owned()).expect("a valid frame")
}

/// Each reads what the other writes.
fn understand(input: &mut Unstructured<'_>) -> Result<()> {
    let role = role(input)?;
    let small = settings::config(input)?;
    let pieces = settings::pieces(input)?;
    let config = Config::client()
        .fragment_outgoing_messages(small.fragment_outgoing_messages)
        .fragmentation_threshold(small.fragmentation_threshold);
    let now = towline_kit::start();
    let mut ours = Connection::new(role, &config, now);
    let mut theirs = tungstenite(role, WebSocketConfig::default(), &[], &pieces);
    let (mut sent, mut written) = (Vec::new(), Vec::new());
    for _ in 0..input.int_in_range(1..=8)? {
        let bytes = payload(input)?;
        let (message, their_message, event) = match String::from_utf8(bytes) {
            Ok(text) => (
                Message::text(text.clone()),
                TheirMessage::text(text.clone()),
                Event::Text(text.into()),
            ),
            Err(error) => {
                let bytes = Bytes::from(error.into_bytes());
                let event = Event::Binary(bytes.to_vec().into());
                (Message::binary(bytes.clone()), TheirMessage::binary(bytes), event)
            }
        };
        sent.push(event);
        ours.session().send(message).expect("an open connection");
        theirs.write(their_message).expect("an open connection");
        write_out(&mut ours, &mut written);
        if input.ratio(1, 4)? {
            let bytes = Bytes::copy_from_slice(&input.bytes(input.len().min(125))?[..]);
            sent.push(Event::Ping(bytes.clone()));
            ours.session().ping(bytes.clone()).expect("an open connection");
            theirs.write(TheirMessage::Ping(bytes)).expect("an open connection");
        }
        write_out(&mut ours, &mut written);
    }
    let reason = TheirCode::Normal;
    theirs.close(Some(CloseFrame { code: reason, reason: "done".into() })).expect("an open one");

    let (read, verdict) =
        tungstenite_reads(other(role), WebSocketConfig::default(), &written, &pieces);
    assert_eq!((read, verdict), (sent.clone(), Verdict::Open));
    let (read, fault) =
        decoded(other(role), &Config::client(), None, &theirs.get_ref().written, &pieces);
    sent.push(Event::Close(close_frame(Some(CloseFrame { code: reason, reason: "done".into() }))));
    assert_eq!((read, fault), (sent, None));
    Ok(())
}

/// A ping overtakes messages that are not written yet, so it is sent when there are none.
fn write_out(ours: &mut Connection, written: &mut Vec<u8>) {
    while let Some(out) = ours.session().poll_transmit() {
        written.extend_from_slice(out.chunk());
        out.advance(out.chunk().len());
        out.handle_flushed();
    }
}
