//! The protocol without I/O: decoding and encoding.

use std::hint::black_box;
use std::io::IoSlice;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use bytes::{Buf, Bytes};
use towline_proto::{Config, Inbound, Incoming, Input, Message, Role, Session};

use crate::frames::{self, BINARY, TEXT, put, together};

pub(crate) fn parse_binary(size: usize, times: usize) -> Result<()> {
    parse(BINARY, &frames::bytes(size), times)
}

pub(crate) fn parse_text(sample: &str, size: usize, times: usize) -> Result<()> {
    parse(TEXT, &frames::text(sample, size), times)
}

fn parse(first: u8, payload: &[u8], times: usize) -> Result<()> {
    let mut wire = Vec::new();
    let together = together(payload.len());
    for _ in 0..together {
        put(&mut wire, first, payload);
    }
    let mut inbound = Inbound::new(Role::Server, &Config::server());
    for _ in 0..times.div_ceil(together) {
        let mut input = Input::new(black_box(&mut wire));
        let mut came = 0;
        loop {
            match inbound.poll(&mut input) {
                Incoming::More => break,
                Incoming::Fault(fault) => bail!(fault),
                incoming => black_box(&incoming),
            };
            came += 1;
        }
        ensure!(came == together, "{came} messages of {together}");
    }
    Ok(())
}

pub(crate) fn assemble_fragments(times: usize) -> Result<()> {
    const FRAMES: usize = 8;
    let mut wire = Vec::new();
    for number in 0..FRAMES {
        let opcode = if number == 0 { BINARY & 0x0f } else { 0 };
        let fin = if number == FRAMES - 1 { 0x80 } else { 0 };
        put(&mut wire, fin | opcode, &frames::bytes(1 << 10));
    }
    assemble(&mut wire, usize::MAX, times)
}

pub(crate) fn assemble_reads(times: usize) -> Result<()> {
    let mut wire = Vec::new();
    put(&mut wire, TEXT, &frames::text(frames::ASCII, 64 << 10));
    assemble(&mut wire, 4 << 10, times)
}

/// Decodes one message in reads of this size.
fn assemble(wire: &mut [u8], read: usize, times: usize) -> Result<()> {
    let mut inbound = Inbound::new(Role::Server, &Config::server());
    for _ in 0..times {
        let mut messages = 0;
        for piece in wire.chunks_mut(read) {
            let mut input = Input::new(piece);
            loop {
                match inbound.poll(&mut input) {
                    Incoming::More => break,
                    Incoming::Fault(fault) => bail!(fault),
                    incoming => {
                        messages += usize::from(black_box(incoming.into_message()).is_some());
                    }
                }
            }
        }
        ensure!(messages == 1, "{messages} messages in place of one");
    }
    Ok(())
}

pub(crate) fn encode(size: usize, times: usize) -> Result<()> {
    send(Role::Server, size, times)
}

pub(crate) fn mask(size: usize, times: usize) -> Result<()> {
    send(Role::Client, size, times)
}

/// Queues messages, and takes their output without writing it.
fn send(role: Role, size: usize, times: usize) -> Result<()> {
    let payload = Bytes::from(frames::bytes(size));
    let mut session = Session::new(role, &Config::server(), Instant::now());
    let together = together(size);
    for _ in 0..times.div_ceil(together) {
        for _ in 0..together {
            session.send(black_box(Message::Binary(payload.clone())))?;
        }
        let mut written = 0;
        while let Some(out) = session.poll_transmit() {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = out.chunks_vectored(&mut slices);
            let length = black_box(&slices)[..filled].iter().map(|slice| slice.len()).sum();
            out.advance(length);
            written += length;
        }
        ensure!(written > together * size, "{written} bytes are too few");
    }
    Ok(())
}
