//! The border between JavaScript and Rust in the npm package: tables of events out, tables of staged
//! messages in, bytes to write out.
//!
//! - The events in the tables, however small those are and however the bytes are split, are those of the
//!   decoder, with the same payloads.
//! - Offsets and lengths are within the chunk, and every event that has something to be taken has it.
//! - Whatever the tables of messages say, nothing panics. The messages that they hold are what the peer
//!   receives, once and in order, through JavaScript's buffer or straight to a socket. The rest of long messages
//!   is read from a socket as well.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

use arbitrary::{Result, Unstructured};
use napi::bindgen_prelude::External;
use towline_kit::{Event, negotiate};
use towline_node::hub::{Hub, create_hub, due, next_timeout, open, release};
use towline_node::options::Options;
use towline_node::{closing, direct, receiving, sending};
use towline_proto::{Config, Fault, Message, Negotiated, Role};

use crate::frames::decoded;
use crate::settings;
use crate::wire::{other, role, said};

/// As in `node/src/receiving.rs`.
const PINGS_BY_HAND: u32 = 1;
const CONTROL_FRAMES: u32 = 2;

/// As in `node/src/table.rs`.
const EVENTS: usize = 4;
const EVENT_LEN: usize = 3;

/// As in `node/src/sending.rs`.
const ENTRY_LEN: usize = 4;

/// As in `node/src/direct.rs`.
const ERRNOS: f64 = 4096.0;

/// A socket takes so many bytes at once.
const SOCKET: usize = 64 << 10;

/// As in `node/lib/run.js`.
const TURN_MAX: u32 = 1 << 20;

thread_local! {
    /// All connections of a program share one.
    static HUB: RefCell<External<Hub>> = RefCell::new(create_hub());
}

pub fn run(data: &[u8]) {
    HUB.with_borrow_mut(|hub| {
        let _ = check(hub, &mut Unstructured::new(data));
    });
}

fn check(hub: &mut External<Hub>, input: &mut Unstructured<'_>) -> Result<()> {
    let role = role(input)?;
    let (options, config) = options(input)?;
    let client = Config::client().compression(settings::deflate(input)?.map(Into::into));
    let server = Config::server().compression(settings::deflate(input)?.map(Into::into));
    let mut agreed =
        if options.assemble_fragments { negotiate(&client, &server) } else { [None, None] };
    if role == Role::Server {
        agreed.reverse();
    }
    let [ours, theirs] = agreed;
    let compression = ours.clone().map(External::new);
    let id = open(hub, role == Role::Server, options, compression.as_ref());
    let end = End { id, role, config: &config, compression: ours.as_ref() };
    let outcome = end.exchange(hub, theirs.as_ref(), input);
    let _ = next_timeout(hub);
    let mut table = [u32::MAX; 7];
    let count = due(hub, &mut table) as usize;
    assert!(table.chunks_exact(2).take(count).all(|entry| entry[0] == id), "{count} {table:?}");
    release(hub, id);
    outcome
}

/// Options as JavaScript gives them, and what they are to the core.
fn options(input: &mut Unstructured<'_>) -> Result<(Options, Config)> {
    let sizes = [0, 100, 400, 3_000, 70_000];
    let (frame, message) = (*input.choose(&sizes)?, *input.choose(&sizes)?);
    let fragments: u8 = input.int_in_range(1..=40)?;
    let options = Options {
        max_received_frame_size: f64::from(frame),
        max_received_message_size: f64::from(message),
        max_received_fragments: fragments.into(),
        fragment_outgoing_messages: input.arbitrary()?,
        fragmentation_threshold: input.arbitrary::<i16>()?.into(),
        assemble_fragments: input.arbitrary()?,
        keepalive_interval: input.arbitrary()?,
        keepalive_grace_period: input.arbitrary()?,
        close_timeout: input.arbitrary()?,
    };
    let config = Config::server()
        .max_received_frame_size(frame as usize)
        .max_received_message_size(message as usize)
        .max_received_fragments(usize::from(fragments).try_into().expect("not zero"))
        .assemble_fragments(options.assemble_fragments);
    Ok((options, config))
}

/// Messages as JavaScript stages them.
struct Table<'a> {
    staged: &'a [u8],
    entries: &'a [u32],
    /// How many of the entries are meant.
    count: usize,
}

/// A connection of the hub.
struct End<'a> {
    id: u32,
    role: Role,
    config: &'a Config,
    compression: Option<&'a Negotiated>,
}

impl End<'_> {
    /// Sends, receives and sends again.
    fn exchange(
        &self,
        hub: &mut External<Hub>,
        theirs: Option<&Negotiated>,
        input: &mut Unstructured<'_>,
    ) -> Result<()> {
        let pieces = settings::pieces(input)?;
        let room = input.int_in_range(1..=6)?;
        let flags = input.int_in_range(0..=PINGS_BY_HAND | CONTROL_FRAMES)?;
        let way = input.arbitrary()?;
        let (staged, entries): (&[u8], Vec<[u32; ENTRY_LEN]>) =
            (input.arbitrary()?, input.arbitrary()?);
        let bytes = said(other(self.role), self.compression.is_some(), input)?;
        let entries = self.plausible(entries);
        // One more than there are is not to do harm.
        let count = input.int_in_range(0..=entries.len() / ENTRY_LEN + 1)?;
        let table = Table { staged, entries: &entries, count };

        let mut written = self.send(hub, &table, room, way);
        let mut sent = self.messages(&table);

        let at_once = decoded(self.role, self.config, self.compression, &bytes, &[usize::MAX]);
        let (expected, ends) = described(at_once, flags);
        let mut events = Vec::new();
        let mut rest = &bytes[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            rest = later;
            self.receive(hub, &mut now.to_vec(), room, flags, &mut events);
            if way == Way::Socket {
                rest = self.read_on(hub, rest, flags, &mut events);
            }
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(events, expected);
        assert!(receiving::taken(hub, self.id).is_none(), "something is left to be taken");

        closing::handle_ending(hub, self.id);
        written.extend(self.send(hub, &table, room, way));
        if !ends {
            sent.extend(self.messages(&table));
        }
        let all = Config::server()
            .max_received_frame_size(usize::MAX)
            .max_received_message_size(usize::MAX)
            .max_received_fragments(usize::MAX.try_into().expect("not zero"));
        let (arrived, fault) = decoded(other(self.role), &all, theirs, &written, &[usize::MAX]);
        assert_eq!(fault, None);
        let arrived = arrived.into_iter().filter_map(|event| event.into_message());
        assert_eq!(arrived.collect::<Vec<_>>(), sent);
        Ok(())
    }

    /// Some entries are made right, so that something is sent.
    fn plausible(&self, entries: Vec<[u32; ENTRY_LEN]>) -> Vec<u32> {
        let mut entries = entries.concat();
        for entry in entries.chunks_exact_mut(ENTRY_LEN) {
            if entry[0] % 2 == 0 {
                entry[0] = self.id;
                entry[2] %= 50;
                entry[3] %= 300;
            }
        }
        entries
    }

    /// The messages of this connection that the entries name, if it may send.
    fn messages(&self, table: &Table<'_>) -> Vec<Message> {
        let entries = table.entries.chunks_exact(ENTRY_LEN).take(table.count);
        let named = entries.filter(|entry| entry[0] == self.id);
        let message = |entry: &[u32]| {
            let range = entry[2] as usize..entry[2].checked_add(entry[3])? as usize;
            let payload = table.staged.get(range)?;
            if entry[1] == 0 {
                return Some(Message::binary(payload.to_vec()));
            }
            Some(Message::text(str::from_utf8(payload).ok()?))
        };
        named.filter_map(message).collect()
    }

    /// Sends what is staged, and returns what was written.
    fn send(&self, hub: &mut External<Hub>, table: &Table<'_>, room: usize, way: Way) -> Vec<u8> {
        let &Table { staged, entries, count } = table;
        let count = u32::try_from(count).unwrap_or(0);
        let (socket, mut peer) = UnixStream::pair().expect("two sockets");
        let mut all = Vec::new();
        let mut is_over = false;
        if way == Way::PeerIsGone {
            peer.shutdown(Shutdown::Both).expect("the end of a socket");
        }
        if way == Way::Buffer {
            sending::send_staged(hub, staged, entries, count);
        } else {
            let fd = socket.as_raw_fd();
            let outcome = direct::send_and_pass(hub, self.id, fd, staged, entries, count);
            drop(socket);
            if way == Way::Socket {
                peer.read_to_end(&mut all).expect("what was passed");
            }
            is_over = outcome >= 0.0;
            let passed = if is_over { outcome } else { (-outcome / ERRNOS).floor() };
            assert_eq!(all.len() as f64, passed, "{outcome}");
        }
        loop {
            let mut out = vec![0; 1 + room * 97];
            let written = sending::flush(hub, self.id, &mut out, 1) as usize;
            assert!(written == 0 || !is_over, "{written} bytes are left");
            all.extend_from_slice(&out[1..][..written]);
            if written < out.len() - 1 {
                return all;
            }
        }
    }

    /// Receives a chunk, with tables that have room for so many events.
    fn receive(
        &self,
        hub: &mut External<Hub>,
        chunk: &mut [u8],
        room: usize,
        flags: u32,
        events: &mut Vec<Described>,
    ) {
        let mut from = 0;
        loop {
            let mut table = vec![u32::MAX; EVENTS + room * EVENT_LEN];
            let count = receiving::receive(hub, self.id, chunk, from, &mut table, flags) as usize;
            assert!(count <= room, "{count} events in a table for {room}");
            self.take(hub, &table[EVENTS..][..count * EVENT_LEN], chunk, events);
            let &[next, is_full, has_output, is_sooner, ..] = &table[..] else {
                unreachable!("a table")
            };
            assert!(next as usize <= chunk.len() && next >= from, "{from} to {next}");
            assert!(is_full <= 1 && has_output <= 1 && is_sooner <= 1);
            if is_full == 0 {
                assert_eq!(next as usize, chunk.len());
                return;
            }
            from = next;
        }
    }

    /// Has the addon read from a socket with the next bytes, and returns those behind what it has read.
    fn read_on<'b>(
        &self,
        hub: &mut External<Hub>,
        rest: &'b [u8],
        flags: u32,
        events: &mut Vec<Described>,
    ) -> &'b [u8] {
        let (socket, mut peer) = UnixStream::pair().expect("two sockets");
        peer.write_all(&rest[..rest.len().min(SOCKET)]).expect("room in a socket");
        let mut table = [u32::MAX; EVENTS + EVENT_LEN];
        let fd = socket.as_raw_fd();
        let read = direct::read_on(hub, self.id, fd, &mut table, flags, TURN_MAX);
        assert!(read >= 0.0 && table[0] <= 1 && table[1] == 0, "{read} {table:?}");
        self.take(hub, &table[EVENTS..][..table[0] as usize * EVENT_LEN], &[], events);
        &rest[read as usize..]
    }

    /// Takes what the events of a table are about.
    fn take(&self, hub: &mut Hub, table: &[u32], chunk: &[u8], events: &mut Vec<Described>) {
        for event in table.chunks_exact(EVENT_LEN) {
            let &[kind, first, second] = event else { unreachable!("three words") };
            let within = || chunk[first as usize..][..second as usize].to_vec();
            let mut taken = || receiving::taken(hub, self.id).expect("something to be taken");
            events.push(match kind {
                1 | 2 => {
                    assert_eq!(within().is_ascii(), kind == 1);
                    Described(TEXT, 0, 0, within())
                }
                3 => Described(BINARY, 0, 0, within()),
                4 => Described(TEXT, 0, 0, taken()),
                5 => Described(BINARY, 0, 0, taken()),
                6..=9 => Described(kind, first, second, taken()),
                10 => {
                    assert!(!taken().is_empty(), "a fault without words");
                    Described(FAULT, first, second, Vec::new())
                }
                _ => panic!("an event of the kind {kind}"),
            });
        }
    }
}

/// How bytes are written, and read where that is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, arbitrary::Arbitrary)]
enum Way {
    Buffer,
    Socket,
    PeerIsGone,
}

const TEXT: u32 = 1;
const BINARY: u32 = 3;
const FAULT: u32 = 10;

/// An event: its kind, without where the payload lies, its words, and its payload.
#[derive(Debug, PartialEq, Eq)]
struct Described(u32, u32, u32, Vec<u8>);

/// The events that JavaScript is to get, and whether the connection ends with them.
fn described((events, fault): (Vec<Event>, Option<Fault>), flags: u32) -> (Vec<Described>, bool) {
    let mut ends = fault.is_some();
    let is_watched = flags & CONTROL_FRAMES != 0;
    let is_by_hand = flags & PINGS_BY_HAND != 0;
    let mut all = Vec::new();
    for event in events {
        all.extend(match event {
            Event::Text(text) => Some(Described(TEXT, 0, 0, text.as_bytes().to_vec())),
            Event::Binary(bytes) => Some(Described(BINARY, 0, 0, bytes.to_vec())),
            Event::Frame(frame) => {
                let fin = u8::from(frame.is_fin()) << 7;
                let first = fin | frame.reserved_bits().bits() | frame.opcode().bits();
                let payload = frame.payload().to_vec();
                Some(Described(6, first.into(), frame.is_masked().into(), payload))
            }
            Event::Ping(payload) => (is_watched || is_by_hand)
                .then(|| Described(7, is_by_hand.into(), 0, payload.to_vec())),
            Event::Pong(payload) => is_watched.then(|| Described(8, 0, 0, payload.to_vec())),
            Event::Close(frame) => {
                ends = true;
                Some(Described(9, frame.code().get().into(), 0, frame.reason().into()))
            }
            other => panic!("{other:?}"),
        });
    }
    all.extend(fault.map(|fault| Described(FAULT, fault.close_code().get().into(), 0, Vec::new())));
    (all, ends)
}
