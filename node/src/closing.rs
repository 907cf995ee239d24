//! The end of a connection: begun by the program, by the peer, or by what the peer did wrong.

use std::time::Instant;

use napi::bindgen_prelude::External;
use napi_derive::napi;
use towline_proto::Incoming;

use crate::hub::Hub;
use crate::words::{close_frame, describe};

/// Begins to close, behind everything that was sent.
#[napi(catch_unwind)]
pub fn close(hub: &mut External<Hub>, id: u32, code: u32, reason: String) {
    if let Some(session) = hub.session(id) {
        // One that is closing already ends as it will.
        let _ = session.close(Instant::now(), close_frame(code, &reason));
        hub.schedule(id);
    }
}

/// Ends the connection: the close frame is worth one attempt to write it.
#[napi(catch_unwind)]
pub fn abort(hub: &mut External<Hub>, id: u32, code: u32, reason: String) {
    if let Some(session) = hub.session(id) {
        session.abort(close_frame(code, &reason));
    }
}

/// The program has had everything that came before the end: the peer is answered.
#[napi(catch_unwind)]
pub fn handle_ending(hub: &mut External<Hub>, id: u32) {
    let now = Instant::now();
    let Some(ending) = hub.get(id).and_then(|connection| connection.ending.take()) else { return };
    let Some(session) = hub.session(id) else { return };
    match ending {
        // The words are those that the program gets.
        Incoming::Fault(fault) => session.handle_fault_in_words(now, fault, &describe(fault)),
        // Only control frames too many a second are refused, and a close frame is the last.
        close => drop(session.handle_incoming(now, &close)),
    }
    hub.schedule(id);
}
