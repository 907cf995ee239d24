//! The roots that are trusted by default.

#[cfg(feature = "platform-verifier")]
#[path = "platform_roots.rs"]
mod default;

#[cfg(all(feature = "webpki-roots", not(feature = "platform-verifier")))]
#[path = "webpki_roots.rs"]
mod default;

#[cfg(not(any(feature = "platform-verifier", feature = "webpki-roots")))]
#[path = "no_roots.rs"]
mod default;

pub(crate) use default::verifier;
