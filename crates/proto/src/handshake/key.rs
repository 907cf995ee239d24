//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that answers it.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest as _, Sha1};

use crate::handshake::excerpt::excerpt;

/// The suffix appended to the key before hashing (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The length of 16 bytes in base64.
const ENCODED: usize = 24;

/// RFC 4648, section 3.5, lets the decoder ignore the unused bits. Some clients do not clear them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A client's `Sec-WebSocket-Key`: a nonce that proves that the server's response answers this
/// handshake and is not cached (RFC 6455, section 11.3.1).
///
/// ```
/// use towline_proto::handshake::Key;
///
/// let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==")?;
/// assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// # Ok::<(), towline_proto::handshake::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; ENCODED]);

impl Key {
    /// Generates a key from the operating system's random numbers.
    ///
    /// RFC 6455, section 4.1: "The nonce MUST be selected randomly for each connection."
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`] if the operating system provides no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self::from_nonce(nonce))
    }

    /// Creates a key from 16 bytes, for tests and for programs with their own source of randomness.
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        let mut encoded = [0; ENCODED];
        // 16 bytes are 24 characters of base64, so they always fit.
        let written = STANDARD.encode_slice(nonce, &mut encoded);
        debug_assert!(matches!(written, Ok(ENCODED)));
        Self(encoded)
    }

    /// Parses the key that a client sent.
    ///
    /// RFC 6455, section 4.2.1: "a base64-encoded value that, when decoded, is 16 bytes in length".
    /// The unused bits of the last character are ignored.
    ///
    /// # Errors
    ///
    /// [`KeyError::Invalid`] for any other value.
    pub fn parse(value: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let value = value.as_ref();
        let invalid = || KeyError::Invalid { value: excerpt(value) };
        let encoded: [u8; ENCODED] = value.try_into().map_err(|_| invalid())?;
        // The decoder may require whole quanta, so 18.
        let mut nonce = [0; 18];
        match LENIENT.decode_slice(encoded, &mut nonce) {
            Ok(16) => Ok(Self(encoded)),
            _ => Err(invalid()),
        }
    }

    /// Returns the value of the header.
    pub fn as_str(&self) -> &str {
        // Never the fallback: both constructors store only base64.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the `Sec-WebSocket-Accept` for this key (RFC 6455, section 4.2.2, step 5.4).
    pub fn accept(&self) -> String {
        let digest = Sha1::new().chain_update(self.0).chain_update(GUID).finalize();
        STANDARD.encode(digest)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.as_str()).finish()
    }
}

/// The error of creating a [`Key`].
///
/// [`Key`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The value is not 16 bytes in base64.
    Invalid {
        /// The beginning of the value.
        value: String,
    },
    /// The operating system provided no random numbers; contains its error.
    Random(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { value } => {
                write!(f, "Sec-WebSocket-Key is {value}, which is not 16 bytes in base64")
            }
            Self::Random(why) => {
                write!(f, "no random numbers for a Sec-WebSocket-Key: {why}")
            }
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_6455_section_1_3() {
        let key = Key::parse("dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, Key::from_nonce(*b"the sample nonce"));
        assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_differ() {
        assert_ne!(Key::generate().unwrap(), Key::generate().unwrap());
    }

    #[test]
    fn only_16_bytes_in_base64_are_a_key() {
        for bad in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",     // no padding
            "dGhlIHNhbXBsZSBub25jZQ=",    // half of it
            "dGhlIHNhbXBsZSBub25jZSE=",   // 17 bytes
            "dGhlIHNhbXBsZSBub25jZSEh",   // 18 bytes
            "dGhlIHNhbXBsZSBub25j",       // 15 bytes
            "dGhlIHNhbXBs-SBub25jZQ==",   // the URL alphabet
            " dGhlIHNhbXBsZSBub25jZQ=",   // white space
            "dGhlIHNhbXBsZSBub25jZQ==\n", // more of it
        ] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unused_bits_do_not_matter_but_the_answer_is_to_what_was_sent() {
        let key = Key::parse("dGhlIHNhbXBsZSBub25jZR==").unwrap();
        assert_ne!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    proptest! {
        #[test]
        fn every_nonce_makes_a_key_that_parses(nonce: [u8; 16]) {
            let key = Key::from_nonce(nonce);
            prop_assert_eq!(Key::parse(key.as_str()), Ok(key));
            prop_assert_eq!(key.accept().len(), 28);
        }

        #[test]
        fn parsing_never_panics(value: Vec<u8>) {
            let _ = Key::parse(value);
        }
    }
}
