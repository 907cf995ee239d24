//! The extensions that a handshake settles: compression.
//!
//! JavaScript owns the handshake, as it owns HTTP; what the two ends make of
//! `Sec-WebSocket-Extensions` is for the core.

use napi::bindgen_prelude::External;
use napi::{Error, Result, Status};
use napi_derive::napi;
use towline_proto::handshake::{Extension, HandshakeError, parse_extension_list};
use towline_proto::{Compression, Deflate, Negotiated};

/// How to compress, as `perMessageDeflate` says it. What is absent is as the core has it.
#[napi(object, object_to_js = false)]
pub struct DeflateOptions {
    /// From how many bytes on.
    pub threshold: Option<u32>,
    /// From 1 to 9.
    pub level: Option<u32>,
    /// Whether what this end sends may refer to earlier messages.
    pub send_context_takeover: Option<bool>,
    /// How far, as a power of two.
    pub send_window_bits: Option<u32>,
    /// The same of what it receives.
    pub receive_context_takeover: Option<bool>,
    /// The same of what it receives.
    pub receive_window_bits: Option<u32>,
}

impl DeflateOptions {
    fn compression(&self, is_server: bool) -> Compression {
        let mut deflate = if is_server { Deflate::server() } else { Deflate::client() };
        let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        if let Some(bytes) = self.threshold {
            deflate = deflate.threshold(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some(level) = self.level {
            deflate = deflate.level(small(level));
        }
        if let Some(on) = self.send_context_takeover {
            deflate = deflate.send_context_takeover(on);
        }
        if let Some(bits) = self.send_window_bits {
            deflate = deflate.send_window_bits(small(bits));
        }
        if let Some(on) = self.receive_context_takeover {
            deflate = deflate.receive_context_takeover(on);
        }
        if let Some(bits) = self.receive_window_bits {
            deflate = deflate.receive_window_bits(small(bits));
        }
        deflate.into()
    }
}

/// A server's answer to an offer.
#[napi(object, object_from_js = false)]
pub struct Answer {
    /// The header.
    pub header: String,
    /// What was agreed on, for [`open`](crate::hub::open).
    pub negotiated: External<Negotiated>,
}

/// A client's offer.
#[napi(object, object_from_js = false)]
pub struct Offered {
    /// The header.
    pub header: String,
    /// For [`agree`], with the answer.
    pub compression: External<Compression>,
}

/// What a server answers to the extensions that a client offers, if there is anything to agree on.
///
/// # Errors
///
/// If the header is malformed.
#[napi(catch_unwind)]
pub fn answer(offered: String, options: DeflateOptions) -> Result<Option<Answer>> {
    let offered = parse_extension_list(offered).map_err(refused)?;
    let negotiated = options.compression(true).answer(&offered);
    Ok(negotiated.map(|negotiated| Answer {
        header: negotiated.extension().to_string(),
        negotiated: External::new(negotiated),
    }))
}

/// What a client offers.
#[napi(catch_unwind)]
pub fn offer(options: DeflateOptions) -> Offered {
    let compression = options.compression(false);
    let offers: Vec<_> = compression.offers().iter().map(ToString::to_string).collect();
    Offered { header: offers.join(", "), compression: External::new(compression) }
}

/// What a client makes of the server's answer to its offer.
///
/// # Errors
///
/// If that is none.
#[napi(catch_unwind)]
pub fn agree(
    compression: &External<Compression>,
    answered: String,
) -> Result<Option<External<Negotiated>>> {
    let answered = parse_extension_list(answered).map_err(HandshakeError::Extensions);
    let verify = |answered: Vec<Extension>| compression.verify(&answered);
    let negotiated = answered.and_then(verify).map_err(refused)?;
    Ok(negotiated.map(External::new))
}

fn refused(why: impl ToString) -> Error {
    Error::new(Status::InvalidArg, why.to_string())
}
