//! What compression holds, counted by an allocator that counts.

#![allow(clippy::unwrap_used)]

use allocation_counter::measure;
use bytes::Buf as _;
use towline_kit::{frame, negotiate};
use towline_proto::{
    Config, Connection, Deflate, Fault, Inbound, Incoming, Input, LimitExceeded, Message, Role,
};
use zlib_rs::{DeflateConfig, DeflateFlush};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A mebibyte of zeros, compressed. Any number of them stand behind each other.
fn zeros() -> Vec<u8> {
    let config = DeflateConfig { window_bits: -15, ..DeflateConfig::default() };
    let mut engine = zlib_rs::Deflate::new_with_config(config);
    let mut out = vec![0; 4 * KIB];
    engine.compress(&vec![0; MIB], &mut out, DeflateFlush::SyncFlush).unwrap();
    out.truncate(engine.total_out().try_into().unwrap());
    out
}

fn client(deflate: Deflate) -> Config {
    Config::client().compression(deflate)
}

fn inbound(config: &Config) -> Inbound {
    let [at_client, _] = negotiate(config, &client(Deflate::client()));
    assert!(at_client.is_some());
    Inbound::new(Role::Client, config).with_compression(at_client.as_ref())
}

#[test]
fn a_megabyte_that_inflates_to_a_gigabyte_is_refused_at_the_limit_with_bounded_memory() {
    let payload = zeros().repeat(1024);
    assert!(payload.len() < 2 * MIB, "{} bytes", payload.len());
    for (opcode, limit) in [(1, 512 * KIB), (2, MIB), (1, 4 * MIB)] {
        for in_fragments in [false, true] {
            let bytes = if in_fragments {
                let mut frames: Vec<_> = payload
                    .chunks(500)
                    .map(|piece| frame().continuation(piece).fin(false))
                    .collect();
                frames[0] = frame().opcode(opcode).payload(&payload[..500]).rsv(0b100).fin(false);
                towline_kit::join(frames)
            } else {
                frame().opcode(opcode).payload(&payload).rsv(0b100).bytes()
            };
            for read in [bytes.len(), 10_000] {
                let config = client(Deflate::client())
                    .max_received_frame_size(4 * MIB)
                    .max_received_message_size(limit);
                let mut inbound = inbound(&config);
                let mut bytes = bytes.clone();
                let mut fault = None;
                let info = measure(|| {
                    for read in bytes.chunks_mut(read) {
                        let mut input = Input::new(read);
                        match inbound.poll(&mut input) {
                            Incoming::Fault(found) => {
                                fault = Some(found);
                                break;
                            }
                            incoming => assert_eq!(incoming, Incoming::More),
                        }
                    }
                });
                assert_eq!(fault, Some(Fault::from(LimitExceeded::Inflated { limit })));
                // Where the message grows, what there is of it is there twice for a moment. The
                // thread's inflater and its chunk come on top.
                let most = (2 * limit + 256 * KIB) as u64;
                assert!(info.bytes_max <= most, "{} of {most}", info.bytes_max);
                assert!(info.bytes_current <= 160 * KIB as i64, "{info:?}");
            }
        }
    }
}

/// A client that has been told so much, and has said it in turn.
fn used(deflate: Deflate, messages: usize) -> Connection {
    let at_client = client(deflate);
    let all = Deflate::server().send_context_takeover(true).receive_context_takeover(true);
    let at_server = Config::server().compression(all);
    let [negotiated, other] = negotiate(&at_client, &at_server);
    let now = towline_kit::start();
    let make = |role, config, negotiated: &Option<_>| {
        Connection::new(role, config, now).with_compression(negotiated.as_ref())
    };
    let mut server = make(Role::Server, &at_server, &other);
    let mut bytes = Vec::new();
    for at in 0..messages {
        let text: String = (0..2000).map(|word| format!("{},", word * at)).collect();
        server.session().send(Message::text(text)).unwrap();
        while let Some(out) = server.session().poll_transmit() {
            bytes.extend_from_slice(out.chunk());
            out.advance(out.chunk().len());
        }
    }
    let mut client = make(Role::Client, &at_client, &negotiated);
    let mut input = Input::new(&mut bytes);
    loop {
        let text = match client.poll(now, &mut input) {
            Incoming::Text(text) => text,
            Incoming::More => break,
            incoming => panic!("{incoming:?}"),
        };
        client.session().send(text.into_owned()).unwrap();
        while let Some(out) = client.session().poll_transmit() {
            out.advance(out.chunk().len());
        }
        drop(client.session().outbound().reclaim_buffer());
    }
    client
}

#[test]
fn an_idle_connection_holds_what_the_documentation_says() {
    let small = Deflate::server();
    let held = |deflate| {
        // The thread's inflater has room for the widest window, as where connections differ.
        drop(used(small, 20));
        let connection = used(deflate, 5);
        // What it holds is what is free without it, whoever had it before.
        -measure(|| drop(connection)).bytes_current
    };
    assert!(held(small) <= 120, "{} bytes", held(small));
    for bits in 9..=15 {
        let receives = held(small.receive_context_takeover(true).receive_window_bits(bits));
        let sends = held(small.send_context_takeover(true).send_window_bits(bits));
        println!("{bits} bits: {receives} bytes for receiving, {sends} for sending");
        assert!(receives <= (1 << bits) + 160, "{bits} bits: {receives} bytes");
        let most = if bits <= 12 { (1 << bits) + 160 } else { (160 << 10) + (4 << bits) };
        assert!(sends <= most, "{bits} bits: {sends} bytes");
    }
}
