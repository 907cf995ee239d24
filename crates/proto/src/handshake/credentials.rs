//! A user and a password, from the user info of a URI, for HTTP `Basic` authentication.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::handshake::header::visible_value;

/// A user and a password, for a server or a proxy. `Debug` shows neither.
///
/// ```
/// use towline_proto::handshake::Credentials;
///
/// // The example of RFC 7617, section 2.
/// let credentials = Credentials::from_user_info("Aladdin:open%20sesame");
/// assert_eq!(credentials.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// assert_eq!(credentials, Credentials::new("Aladdin", "open sesame"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Credentials {
    /// Creates credentials from a user and a password.
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// Parses the user info of a URI, `user:password`, and percent-decodes both. A percent sign
    /// that does not begin an escape is kept. Without a colon, the password is empty.
    pub fn from_user_info(text: &str) -> Self {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self { user: percent_decoded(user), password: percent_decoded(password) }
    }

    /// Returns the user.
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// Returns the password.
    pub fn password(&self) -> &[u8] {
        &self.password
    }

    /// Returns the value for `Authorization` or `Proxy-Authorization`, marked as sensitive (RFC
    /// 7617): `Basic`, then the user, a colon and the password in base64.
    pub fn basic(&self) -> HeaderValue {
        let pair = [&self.user[..], b":", &self.password].concat();
        let mut value = visible_value(&format!("Basic {}", STANDARD.encode(pair)));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(Sensitive)")
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high * 16 + low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_decoded_and_what_is_not_stands_for_itself() {
        assert_eq!(percent_decoded("%0d%0A%zz%4"), b"\r\n%zz%4");
        let credentials = Credentials::from_user_info("a%3Ab:c:%40");
        assert_eq!((credentials.user(), credentials.password()), (&b"a:b"[..], &b"c:@"[..]));
    }

    #[test]
    fn debug_shows_neither() {
        let shown = format!("{:?}", Credentials::new("Aladdin", "open sesame"));
        assert!(!shown.contains("Aladdin") && !shown.contains("sesame"), "{shown}");
    }
}
