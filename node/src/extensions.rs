//! The extensions that a handshake settles: compression.
//!
//! JavaScript owns the handshake, as it owns HTTP; what the two ends make of
//! `Sec-WebSocket-Extensions` is for the core, which wants a whole handshake. So it gets one, with
//! this header in it.

use http::{Request, Response, Uri, header};
use napi::bindgen_prelude::External;
use napi::{Error, Result, Status};
use napi_derive::napi;
use towline_proto::handshake::{Accept, Connect, Offer, Opening, OriginPolicy};
use towline_proto::{Compression, Deflate, Negotiated};

/// A key, for a handshake that nobody sees.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

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
    pub opening: External<Opening>,
}

/// What a server answers to the extensions that a client offers, if there is anything to agree on.
///
/// # Errors
///
/// If the header is malformed.
#[napi(catch_unwind)]
pub fn answer(offered: String, options: DeflateOptions) -> Result<Option<Answer>> {
    let request = Request::get("/")
        .header(header::HOST, "localhost")
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_KEY, KEY)
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_EXTENSIONS, offered)
        .body(())
        .map_err(refused)?;
    let offer = Offer::from_request(&request).map_err(|rejection| refused(rejection.reason()))?;
    let accept = Accept::new().compression(options.compression(true));
    let (response, agreed) = offer.accept(&accept, &OriginPolicy::Any).map_err(refused)?;
    let header = response.headers().get(header::SEC_WEBSOCKET_EXTENSIONS);
    let header = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(header
        .zip(agreed.compression)
        .map(|(header, negotiated)| Answer { header, negotiated: External::new(negotiated) }))
}

/// What a client offers.
///
/// # Errors
///
/// If the operating system has no random numbers.
#[napi(catch_unwind)]
pub fn offer(options: DeflateOptions) -> Result<Offered> {
    let opening = Connect::new()
        .compression(options.compression(false))
        .open(&Uri::from_static("ws://localhost/"))
        .map_err(refused)?;
    let header = opening.request().headers().get(header::SEC_WEBSOCKET_EXTENSIONS);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Offered { header, opening: External::new(opening) })
}

/// What a client makes of the server's answer to its offer.
///
/// # Errors
///
/// If that is none.
#[napi(catch_unwind)]
pub fn agree(
    opening: &External<Opening>,
    answered: String,
) -> Result<Option<External<Negotiated>>> {
    let response = Response::builder()
        .status(101)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_ACCEPT, opening.key().accept())
        .header(header::SEC_WEBSOCKET_EXTENSIONS, answered)
        .body(())
        .map_err(refused)?;
    let agreed = opening.verify(&response).map_err(refused)?;
    Ok(agreed.compression.map(External::new))
}

fn refused(why: impl ToString) -> Error {
    Error::new(Status::InvalidArg, why.to_string())
}
