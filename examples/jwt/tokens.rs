//! Making and checking tokens.

use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

/// How long a token is good for. Short, since a token can't be taken back.
const LIFETIME: Duration = Duration::from_secs(60);

/// RFC 7518, section 3.2: a key as long as the hash, or longer. A short one can be guessed, and then anybody
/// makes tokens.
const MIN_SECRET: usize = 32;

/// The longest that a timer is set for. A token can have any `exp`, and no `Instant` is so far away.
const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

#[derive(Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: String,
    /// When the token expires, in seconds since 1970.
    exp: u64,
}

impl Claims {
    pub(crate) fn time_left(&self) -> Duration {
        Duration::from_secs(self.exp).saturating_sub(since_1970()).min(THIRTY_YEARS)
    }
}

pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Fails for a secret that is too short.
    pub(crate) fn new(secret: &[u8]) -> std::result::Result<Self, String> {
        if secret.len() < MIN_SECRET {
            return Err(format!(
                "JWT_SECRET has {} bytes, and HS256 requires {MIN_SECRET} or more: \
                 make one with `openssl rand -hex 32`",
                secret.len()
            ));
        }
        // This algorithm and no other: the token's own header has no say in it.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        // The default accepts tokens for a minute after they have expired.
        validation.leeway = 0;
        Ok(Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        })
    }

    pub(crate) fn issue(&self, sub: &str) -> Result<String> {
        let claims = Claims { sub: sub.to_owned(), exp: (since_1970() + LIFETIME).as_secs() };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }

    /// Returns what a valid token says, or what to tell the client.
    pub(crate) fn check(&self, token: &str) -> std::result::Result<Claims, &'static str> {
        match decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(token) => Ok(token.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::ExpiredSignature => "the token has expired",
                ErrorKind::InvalidSignature => "the token is not from here",
                // Details would help an attacker more than a user.
                _ => "the token is not valid",
            }),
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
