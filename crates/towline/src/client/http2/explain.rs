//! What the errors of HTTP/2 mean.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The most characters of a peer's explanation to show.
const LONGEST: usize = 200;

/// The failure of a stream, or of its connection. The source is the error of `h2`.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) kind: io::ErrorKind,
    message: String,
    source: h2::Error,
}

impl Failed {
    /// Explains an error, with the name of its code (RFC 9113, section 7).
    pub(crate) fn new(source: h2::Error) -> Self {
        let code = source.reason().map(|reason| format!("{reason:?}"));
        let code = code.unwrap_or_default();
        let (kind, message) = if let Some(error) = source.get_io() {
            (error.kind(), format!("the HTTP/2 connection failed: {error}"))
        } else if source.is_remote() && source.is_reset() {
            let message = format!("the peer reset the HTTP/2 stream: {code}");
            (io::ErrorKind::ConnectionReset, message)
        } else if source.is_remote() {
            let why = debug_data(&source);
            let message = format!("the peer ended the HTTP/2 connection: {code}{why}");
            (io::ErrorKind::ConnectionAborted, message)
        } else if source.is_library() {
            let why = debug_data(&source);
            let message = format!("the peer broke the rules of HTTP/2: {code}{why}");
            (io::ErrorKind::InvalidData, message)
        } else {
            (io::ErrorKind::Other, source.to_string())
        };
        Self { kind, message, source }
    }

    /// Whether the server has certainly not seen the request, so that it can be sent again on
    /// another connection (RFC 9113, section 8.7).
    pub(crate) fn is_unprocessed(&self) -> bool {
        let is_refused = self.source.reason() == Some(h2::Reason::REFUSED_STREAM);
        self.source.is_remote() && (self.source.is_go_away() || is_refused)
    }

    /// Whether the server asks for HTTP/1.1.
    pub(crate) fn wants_http_1(&self) -> bool {
        let is_wanted = self.source.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED);
        self.source.is_remote() && is_wanted
    }

    /// Whether the response itself was at fault.
    pub(crate) fn is_about_response(&self) -> bool {
        self.source.is_library() && self.source.is_reset()
    }
}

/// The explanation in a GOAWAY frame, in parentheses.
fn debug_data(error: &h2::Error) -> String {
    let text = error.to_string();
    let Some(begin) = text.rfind(" (b\"") else { return String::new() };
    text[begin..].chars().take(LONGEST).collect()
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Failed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}
