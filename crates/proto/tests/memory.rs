//! What a peer can make a connection hold, counted by an allocator that counts.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;
use std::time::Instant;

use allocation_counter::{AllocationInfo, measure};
use bytes::{Buf, BufMut};
use towline_kit::{FrameBytes, frame};
use towline_proto::{Config, Connection, Inbound, Incoming, Input, Message, Role};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What a decoder may hold to know where it is in a message, whatever is in that.
const OPEN: u64 = 256;

/// What a decoder has asked for and holds after these reads. Messages are dropped as they come.
fn decodes(inbound: &mut Inbound, reads: impl IntoIterator<Item = Vec<u8>>) -> AllocationInfo {
    let mut reads: Vec<_> = reads.into_iter().collect();
    measure(|| {
        for read in &mut reads {
            let mut input = Input::new(read);
            loop {
                match inbound.poll(&mut input) {
                    Incoming::More | Incoming::Fault(_) | Incoming::End => break,
                    incoming => drop(incoming),
                }
            }
        }
    })
}

/// A client's decoder, with limits for frames and messages.
fn inbound(limit: usize) -> Inbound {
    let config = Config::client().max_received_frame_size(limit).max_received_message_size(limit);
    Inbound::new(Role::Client, &config)
}

fn in_reads(frames: impl IntoIterator<Item = FrameBytes>, size: usize) -> Vec<Vec<u8>> {
    towline_kit::join(frames).chunks(size).map(<[u8]>::to_vec).collect()
}

/// Everything that the peer of a connection reads of it, thrown away.
fn writes(connection: &mut Connection) {
    while let Some(out) = connection.session().poll_transmit() {
        out.advance(out.chunk().len());
    }
    drop(connection.session().outbound().reclaim_buffer());
}

#[test]
fn a_new_connection_allocates_nothing() {
    let now = towline_kit::start();
    let config = Config::server();
    let made = measure(|| drop(Connection::new(Role::Server, &config, now)));
    assert_eq!(made.count_total, 0);
    assert!(size_of::<Connection>() <= 768, "{} bytes", size_of::<Connection>());
}

#[test]
fn a_gibibyte_that_is_only_announced_is_refused_before_anything_is_allocated() {
    for opcode in [0, 1, 2] {
        let mut inbound = inbound(1 << 20);
        let first = frame().binary("").fin(false);
        let bad = frame().opcode(opcode).announcing(1 << 30).head();
        let reads = [if opcode == 0 { first.bytes() } else { vec![] }, bad];
        let info = decodes(&mut inbound, reads);
        assert!(info.bytes_total <= OPEN, "{info:?}");
        assert!(inbound.is_ended());
    }
}

#[test]
fn the_allowed_maximum_announced_and_one_byte_sent_gets_128_kib_at_most() {
    for opcode in [1, 2] {
        for limit in [1 << 20, 1 << 30, usize::MAX] {
            let mut inbound = inbound(limit);
            let announced = limit.min(1 << 62) as u64;
            let head = frame().opcode(opcode).announcing(announced).head();
            let info = decodes(&mut inbound, [head, vec![b'x']]);
            assert!(info.bytes_max <= 128 * KIB + OPEN, "{info:?}");
            assert!(inbound.payload_room().is_none_or(|room| room.remaining_mut() < 128 << 10));
        }
    }
}

#[test]
fn memory_grows_with_what_has_come_and_not_with_what_was_announced() {
    for limit in [1 << 30, usize::MAX] {
        let mut inbound = inbound(limit);
        let head = frame().announcing(limit.min(1 << 62) as u64).head();
        decodes(&mut inbound, [head, vec![1]]);
        let mut received = 1;
        let info = measure(|| {
            while received < 1 << 20 {
                let mut room = inbound.payload_room().unwrap();
                let part = room.remaining_mut().min(10_000);
                room.put_bytes(0, part);
                assert_eq!(inbound.poll(&mut Input::new(&mut [])), Incoming::More);
                received += part;
            }
        });
        assert!(info.bytes_max <= 10 * MIB, "{info:?}");
    }
}

#[test]
fn a_message_that_has_come_whole_is_held_in_about_its_size() {
    for (opcode, direct) in [(1, false), (2, false), (2, true)] {
        let mut inbound = inbound(1 << 20);
        let payload = vec![b'x'; 1 << 20];
        let mut bytes = frame().opcode(opcode).payload(&payload).bytes();
        let mut message = None;
        let info = measure(|| {
            let mut rest = &mut bytes[..];
            while !rest.is_empty() {
                let mut now = &mut [][..];
                if direct && let Some(mut room) = inbound.payload_room() {
                    let part = room.remaining_mut().min(rest.len());
                    room.put_slice(&rest[..part]);
                    rest = &mut rest[part..];
                } else {
                    (now, rest) = rest.split_at_mut(rest.len().min(10_000));
                }
                message = inbound.poll(&mut Input::new(now)).into_owned().into_message();
            }
        });
        assert!(message.is_some());
        assert!(info.bytes_current as u64 <= MIB + KIB, "{info:?}");
    }
}

#[test]
fn a_message_in_fragments_never_takes_more_than_its_limit() {
    for opcode in [1, 2] {
        let mut inbound = inbound(1 << 20);
        let first = frame().opcode(opcode).payload([b'x'; 1000]).fin(false);
        let rest = (0..1040).map(|_| frame().continuation([b'x'; 1000]).fin(false));
        let info = decodes(&mut inbound, in_reads([first].into_iter().chain(rest), 700));
        assert!(info.bytes_current as u64 <= MIB + KIB, "{info:?}");
    }
}

#[test]
fn fragments_that_come_in_pieces_are_not_copied_over_and_over() {
    for opcode in [1, 2] {
        let mut inbound = inbound(1 << 20);
        let first = frame().opcode(opcode).payload([b'x'; 20]).fin(false);
        let rest = (0..50_000).map(|_| frame().continuation([b'x'; 20]).fin(false));
        // No frame lies whole in a read.
        let info = decodes(&mut inbound, in_reads([first].into_iter().chain(rest), 21));
        assert!(info.bytes_total <= 4 * MIB, "{} bytes allocated for one", info.bytes_total);
    }
}

#[test]
fn long_fragments_that_are_read_straight_to_their_place_are_not_copied_over_and_over() {
    let mut inbound = inbound(32 << 20);
    let info = measure(|| {
        for number in 0..300 {
            let opcode = if number == 0 { 2 } else { 0 };
            let mut head = frame().opcode(opcode).fin(false).announcing(100_000).head();
            assert_eq!(inbound.poll(&mut Input::new(&mut head)), Incoming::More);
            let mut left = 100_000;
            while left > 0 {
                let Some(mut room) = inbound.payload_room() else {
                    assert_eq!(inbound.poll(&mut Input::new(&mut vec![0; left])), Incoming::More);
                    break;
                };
                let part = room.remaining_mut();
                room.put_bytes(0, part);
                assert_eq!(inbound.poll(&mut Input::new(&mut [])), Incoming::More);
                left -= part;
            }
        }
    });
    assert!(info.bytes_total <= 160 * MIB, "{} bytes for 30 MB", info.bytes_total);
}

#[test]
fn empty_fragments_hold_nothing() {
    let mut inbound = inbound(1 << 20);
    let first = frame().text("").fin(false);
    let rest = (0..60_000).map(|_| frame().continuation("").fin(false));
    let info = decodes(&mut inbound, in_reads([first].into_iter().chain(rest), 1000));
    assert!(info.bytes_max <= OPEN, "{info:?}");
    assert!(!inbound.is_ended());
}

#[test]
fn messages_that_lie_whole_in_a_read_are_lent_and_not_copied() {
    let mut inbound = inbound(1 << 20);
    let frames = [frame().text("a").payload([b'x'; 1000]), frame().binary([0; 10_000])];
    let info = decodes(&mut inbound, in_reads(frames, usize::MAX));
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_decoder_between_messages_holds_nothing_whatever_came_before() {
    let mut inbound = inbound(1 << 20);
    let frames = || {
        vec![
            frame().text([b'x'; 100_000]),
            frame().binary([1; 100_000]).fin(false),
            frame().ping([b'p'; 125]),
            frame().continuation([1; 100_000]),
            frame().text("short"),
        ]
    };
    for size in [1, 1000, 150_000] {
        let info = decodes(&mut inbound, in_reads(frames(), size));
        assert_eq!(info.bytes_current, 0, "reads of {size}: {info:?}");
    }
}

#[test]
fn a_fault_frees_what_had_come_of_the_message() {
    let mut inbound = inbound(1 << 20);
    let frames = [frame().binary([1; 500_000]).fin(false), frame().opcode(3)];
    let info = decodes(&mut inbound, in_reads(frames, 1000));
    assert_eq!(info.bytes_current, 0, "{info:?}");
    assert!(inbound.is_ended());
}

/// What a connection holds when all that was done has been read, written, and answered.
fn at_rest(now: Instant, work: impl FnOnce(&mut Connection)) -> i64 {
    let config = Config::client().fragmentation_threshold(NonZeroUsize::new(16 << 10).unwrap());
    let mut connection = Connection::new(Role::Server, &config, now);
    measure(|| {
        work(&mut connection);
        writes(&mut connection);
    })
    .bytes_current
}

#[test]
fn a_connection_at_rest_holds_no_buffer_whatever_came_before() {
    let now = towline_kit::start();
    let long = Message::binary(vec![7; 1 << 20]);
    let held = at_rest(now, |connection| {
        for _ in 0..10_000 {
            connection.session().send(long.clone()).unwrap();
        }
        for _ in 0..1000 {
            connection.session().send(Message::text("behind them")).unwrap();
        }
    });
    assert!(held <= 512, "{held} bytes after many long messages");
    let held = at_rest(now, |connection| {
        for _ in 0..10_000 {
            connection.session().send(Message::binary(vec![7; 5000])).unwrap();
        }
    });
    assert!(held <= 512, "{held} bytes after many lent payloads");
    let held = at_rest(now, |connection| {
        let mut pings = frame().ping([b'p'; 125]).by(Role::Client).bytes().repeat(500);
        let mut input = Input::new(&mut pings);
        while connection.poll(now, &mut input) != Incoming::More {}
    });
    assert!(held <= 512, "{held} bytes after many pings");
}

#[test]
fn a_connection_that_is_over_holds_nothing() {
    let now = towline_kit::start();
    for end in 0..3 {
        let mut connection = Connection::new(Role::Server, &Config::server(), now);
        let info = measure(|| {
            for _ in 0..100 {
                connection.session().send(Message::binary(vec![7; 50_000])).unwrap();
            }
            let mut half = frame().binary([1; 1000]).by(Role::Client).bytes();
            half.truncate(500);
            assert_eq!(connection.poll(now, &mut Input::new(&mut half)), Incoming::More);
            match end {
                0 => connection.session().handle_transport_end(),
                1 => {
                    for _ in 0..2 {
                        let then = connection.session().poll_timeout().unwrap();
                        connection.session().handle_timeout(then);
                    }
                }
                _ => connection.session().handle_transport_error(std::io::ErrorKind::TimedOut),
            }
        });
        // The half message is the decoder's, and goes with it.
        let held = info.bytes_current;
        assert!(held <= 9 * KIB as i64, "{held} bytes after end {end}");
    }
}
