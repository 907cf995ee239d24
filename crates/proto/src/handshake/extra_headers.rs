//! Headers that an application adds to the request or response of a handshake.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::handshake::header::{is_reserved, spelt};

/// Collects headers. Keeps the first error until the headers are used, so that builder methods need
/// not return a `Result`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExtraHeaders {
    lines: Vec<(HeaderName, HeaderValue)>,
    error: Option<HeaderError>,
}

impl ExtraHeaders {
    pub(crate) fn push<N, V>(&mut self, name: N, value: V)
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match line(name, value) {
            Ok(line) => self.lines.push(line),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&HeaderName, &HeaderValue) -> bool) {
        self.lines.retain(|(name, value)| keep(name, value));
    }

    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.lines.iter().any(|(own, _)| own == name)
    }

    /// Appends the headers to those of an HTTP message.
    pub(crate) fn append_to(&self, headers: &mut HeaderMap) -> Result<(), HeaderError> {
        match &self.error {
            Some(error) => return Err(error.clone()),
            None => headers.reserve(self.lines.len().min(1024)),
        }
        for (name, value) in &self.lines {
            headers.try_append(name, value.clone()).map_err(|_| HeaderError::TooMany)?;
        }
        Ok(())
    }
}

fn line<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue), HeaderError>
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let (name, mut value) = parse_line(name, value)?;
    if is_reserved(&name) {
        return Err(HeaderError::Reserved { name });
    }
    // Keeps secrets out of debug output and of the compression tables of HTTP/2.
    let secrets =
        [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];
    value.set_sensitive(value.is_sensitive() || secrets.contains(&name));
    Ok((name, value))
}

/// Converts a name and a value to a header.
pub(crate) fn parse_line<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue), HeaderError>
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let name = name.try_into().map_err(|_| HeaderError::InvalidName)?;
    match value.try_into() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(HeaderError::InvalidValue { name }),
    }
}

/// The error for a header that an application cannot add to a handshake.
///
/// [`Rejection`](crate::handshake::Rejection) has an example of a header that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not an HTTP token.
    InvalidName,
    /// The value has a line break or another control character.
    InvalidValue {
        /// The name of the header.
        name: HeaderName,
    },
    /// The handshake writes this header itself (`Sec-WebSocket-*`, `Upgrade`, `Connection`), or the
    /// header frames a body, which a handshake does not have (`Content-Length`,
    /// `Transfer-Encoding`, `TE`, `Trailer`).
    Reserved {
        /// The name of the header.
        name: HeaderName,
    },
    /// There are more than 32,768 headers.
    TooMany,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName => f.write_str("a header name is not an HTTP token"),
            Self::InvalidValue { name } => {
                write!(f, "the value of the header {} has a control character", spelt(name))
            }
            Self::Reserved { name } => {
                write!(
                    f,
                    "the header {} is reserved for the handshake and cannot be set",
                    spelt(name)
                )
            }
            Self::TooMany => f.write_str("there are more than 32768 headers"),
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn added<V: TryInto<HeaderValue>>(name: &str, value: V) -> Result<HeaderMap, HeaderError> {
        let mut extra = ExtraHeaders::default();
        extra.push(name, value);
        extra.push("x-more", "1");
        let mut headers = HeaderMap::new();
        extra.append_to(&mut headers).map(|()| headers)
    }

    #[test]
    fn the_first_error_is_reported() {
        assert_eq!(added("a b", "1"), Err(HeaderError::InvalidName));
        let name = HeaderName::from_static("x-a");
        assert_eq!(added("X-A", "1\r\nX-B: 2"), Err(HeaderError::InvalidValue { name }));
        let error = added("Sec-WebSocket-Accept", "x").map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("the header Sec-WebSocket-Accept is reserved for the handshake and cannot be set"
                .into())
        );
    }

    #[test]
    fn secrets_are_kept_out_of_debug_output() {
        let shown = format!("{:?}", added("Authorization", "Bearer 31d4"));
        assert!(!shown.contains("31d4"), "{shown}");
    }

    #[test]
    fn values_of_all_kinds_are_taken() {
        assert!(added("x-a", "1").is_ok());
        assert!(added("x-a", String::from("1")).is_ok());
        assert!(added("x-a", HeaderValue::from_static("1")).is_ok());
        assert_eq!(added("x-a", b"\xe9".as_slice()).map(|headers| headers.len()), Ok(2));
    }
}
