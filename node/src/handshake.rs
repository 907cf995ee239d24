//! The parts of the opening handshake that are more than a look into a header.

use napi::bindgen_prelude::Null;
use napi::{Either, Error, Result, Status};
use napi_derive::napi;
use towline_proto::handshake::{ExtensionError, Key, parse_extension_list};

/// An extension that a client offers.
#[napi(object, object_from_js = false)]
pub struct RequestedExtension {
    /// Its name.
    pub name: String,
    /// Its parameters, in order.
    pub params: Vec<Parameter>,
}

/// A parameter of an extension.
#[napi(object, object_from_js = false)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, or nothing.
    pub value: Option<String>,
}

/// A new `Sec-WebSocket-Key`.
///
/// # Errors
///
/// If the operating system has no random numbers.
#[napi(catch_unwind)]
pub fn generate_key() -> Result<String> {
    let key = Key::generate().map_err(|error| Error::from_reason(error.to_string()))?;
    Ok(key.as_str().to_owned())
}

/// The `Sec-WebSocket-Accept` that answers a key, or null if the key is none.
#[napi(catch_unwind)]
pub fn accept_key(key: String) -> Either<String, Null> {
    match Key::parse(key) {
        Ok(key) => Either::A(key.accept()),
        Err(_) => Either::B(Null),
    }
}

/// What a `Sec-WebSocket-Extensions` header offers.
///
/// # Errors
///
/// If the header is malformed.
#[napi(catch_unwind)]
pub fn offered_extensions(value: String) -> Result<Vec<RequestedExtension>> {
    let malformed = |error: ExtensionError| Error::new(Status::InvalidArg, error.to_string());
    let extensions = parse_extension_list(value).map_err(malformed)?;
    let offered = extensions.iter().map(|extension| RequestedExtension {
        name: extension.name().to_owned(),
        params: extension
            .params()
            .iter()
            .map(|param| Parameter {
                name: param.name().to_owned(),
                value: param.value().map(str::to_owned),
            })
            .collect(),
    });
    Ok(offered.collect())
}
