//! Messages in, bytes to a socket of Node's without Node. `lib/direct.js` knows when that can't be noticed.
//!
//! What the kernel does not take at once stays in the core, for [`flush`](crate::sending::flush).

use std::io::IoSlice;

use bytes::{Buf, Bytes};
use napi::bindgen_prelude::{Buffer, External};
use napi_derive::napi;

use crate::arrays;
use crate::hub::Hub;
use crate::sending::{queue_lent, send_staged};

/// How many pieces are written with one call of the kernel.
const SLICES: usize = 64;

/// Stands for no error: the kernel took less than it was given.
const IS_FULL: i32 = 11;

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

/// Elsewhere, JavaScript does not ask for it.
#[cfg(not(target_os = "linux"))]
fn send(_: i32, _: &[IoSlice<'_>]) -> Result<usize, i32> {
    Err(IS_FULL)
}
