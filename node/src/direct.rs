//! Bytes to and from a socket of Node's without Node. `lib/direct.js` knows when that can't be noticed.
//!
//! What the kernel does not take at once stays in the core, for [`flush`](crate::sending::flush).

use std::io::IoSlice;
use std::time::Instant;

use bytes::{Buf, Bytes};
use napi::bindgen_prelude::{Buffer, External};
use napi_derive::napi;
use towline_proto::Input;

use crate::arrays;
use crate::hub::Hub;
use crate::sending::{queue_lent, send_ref, send_staged};
use crate::table::{State, Writer};

/// How many pieces are written with one call of the kernel.
const SLICES: usize = 64;

/// Not an error: the kernel took less than it was given, or has nothing more.
const IS_FULL: i32 = 11;

/// At most so much is read with one call of the kernel: what is read into is cleared before, which is cheap
/// while it stays in the cache.
const READ: usize = 128 << 10;

/// A number of the system's is less than this.
const ERRNOS: f64 = 4096.0;

/// Writes what is to be written to the socket `fd`, as far as the kernel takes it.
///
/// Returns how many bytes that are, if it is all of them. If something is left, returns
/// `-(bytes * 4096 + errno)`.
#[napi(catch_unwind)]
pub fn pass(hub: &mut External<Hub>, id: u32, fd: i32) -> f64 {
    let Some(connection) = hub.get(id) else { return 0.0 };
    let mut passed = 0;
    let mut errno = None;
    while errno.is_none()
        && let Some(outbound) = connection.session.poll_transmit()
    {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = outbound.chunks_vectored(&mut slices);
        let len: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        match send(fd, &slices[..count]) {
            Ok(taken) => {
                outbound.advance(taken);
                passed += taken;
                errno = (taken < len || len == 0).then_some(IS_FULL);
            }
            Err(number) => errno = Some(number),
        }
    }
    hub.reclaim(id);
    outcome(passed, errno)
}

/// [`send_staged`] and [`pass`] in one, for the common case of one connection.
#[napi(catch_unwind)]
pub fn send_and_pass(
    hub: &mut External<Hub>,
    id: u32,
    fd: i32,
    staged: arrays::Bytes<'_>,
    entries: arrays::Words<'_>,
    count: u32,
) -> f64 {
    send_staged(hub, staged, entries, count);
    pass(hub, id, fd)
}

/// Sends a short binary message from where it is, and then the same as [`pass`].
#[napi(catch_unwind)]
pub fn send_and_pass_bytes(
    hub: &mut External<Hub>,
    id: u32,
    fd: i32,
    payload: arrays::Bytes<'_>,
) -> f64 {
    if let Some(session) = hub.session(id) {
        send_ref(session, false, payload);
    }
    pass(hub, id, fd)
}

/// [`send_lent`](crate::sending::send_lent) and [`pass`] in one.
#[napi(catch_unwind)]
pub fn send_lent_and_pass(
    hub: &mut External<Hub>,
    id: u32,
    fd: i32,
    is_text: bool,
    payload: Buffer,
) -> f64 {
    queue_lent(hub, id, is_text, Bytes::from_owner(payload));
    pass(hub, id, fd)
}

/// Reads the rest of a long message from the socket `fd` to its place, as far as it has come but at most about
/// `most` bytes, and writes `table` if that ends the message: its first word is then how many events there are.
///
/// Returns how many bytes were read, if there was no error. If there was one, returns
/// `-(bytes * 4096 + errno)`.
#[napi(catch_unwind)]
pub fn read_on(
    hub: &mut External<Hub>,
    id: u32,
    fd: i32,
    table: arrays::WordsMut<'_>,
    flags: u32,
    most: u32,
) -> f64 {
    let mut writer = Writer::new(table);
    let Some(connection) = hub.get(id) else {
        writer.finish(0, State::default());
        return 0.0;
    };
    let now = Instant::now();
    let (mut bytes, mut errno) = (0, None);
    while bytes < most as usize
        && let Some(mut room) = connection.inbound.payload_room()
    {
        let limit = room.limit().min(READ);
        let body = room.get_mut();
        let start = body.len();
        body.resize(start + limit, 0);
        let read = recv(fd, &mut body[start..]);
        let count = read.unwrap_or(0);
        body.truncate(start + count);
        bytes += count;
        if count > 0 {
            connection.session.handle_received(now);
            connection.decode(&mut Input::new(&mut []), 0, now, flags, &mut writer);
        }
        errno = read.err().filter(|errno| *errno != IS_FULL);
        if count < limit {
            break;
        }
    }
    let state = State {
        has_output: !connection.session.outbound().is_empty(),
        is_sooner: hub.schedule(id),
        ..State::default()
    };
    let count = writer.len();
    writer.finish(count, state);
    outcome(bytes, errno)
}

fn outcome(passed: usize, errno: Option<i32>) -> f64 {
    match errno {
        None => passed as f64,
        Some(errno) => -(passed as f64 * ERRNOS + f64::from(errno)),
    }
}

/// Writes what the kernel takes at once, which may be less than all. An error is a number of the system's.
#[cfg(target_os = "linux")]
fn send(fd: i32, slices: &[IoSlice<'_>]) -> Result<usize, i32> {
    use nix::sys::socket::{MsgFlags, sendmsg};

    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(fd, slices, &[], flags, None).map_err(|error| error as i32)
}

/// Reads what has come, which is nothing at the end.
#[cfg(target_os = "linux")]
fn recv(fd: i32, bytes: &mut [u8]) -> Result<usize, i32> {
    use nix::sys::socket::{MsgFlags, recv};

    recv(fd, bytes, MsgFlags::MSG_DONTWAIT).map_err(|error| error as i32)
}

/// Elsewhere, JavaScript does not ask for it.
#[cfg(not(target_os = "linux"))]
fn send(_: i32, _: &[IoSlice<'_>]) -> Result<usize, i32> {
    Err(IS_FULL)
}

#[cfg(not(target_os = "linux"))]
fn recv(_: i32, _: &mut [u8]) -> Result<usize, i32> {
    Err(IS_FULL)
}
