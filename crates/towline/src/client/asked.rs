//! What to ask for, and where: from a URL, a request, or a redirect.

use http::header::{
    CONNECTION, HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::uri::InvalidUri;
use http::{Extensions, Method, Request, Uri, Version as HttpVersion};
use towline_proto::handshake::{
    Connect, Opening, RequestError, Subprotocol, Target, Version, parse_subprotocols,
};

use crate::client::shown::{redacted, shown};
use crate::client::url::normal;
use crate::error::{Error, ErrorKind, Result};

/// What to ask for, and where.
pub(crate) struct Asked {
    uri: Uri,
    /// The URI for errors. The original text shows best where a password may be.
    redacted: String,
    pub(crate) connect: Connect,
    /// The data of the connection.
    pub(crate) data: Extensions,
}

impl Asked {
    /// A connection to this URI, which is in normal form.
    pub(crate) fn new(uri: Uri, connect: Connect) -> Self {
        Self { redacted: redacted(&uri.to_string()), uri, connect, data: Extensions::new() }
    }

    /// A connection to a URL that the program wrote.
    pub(crate) fn parse(url: &str, connect: Connect) -> Result<Self> {
        let invalid = |why: String| {
            let message = format!("{} is not a WebSocket URL: {why}", shown(url));
            Error::new(ErrorKind::InvalidUrl, message)
        };
        let normal = normal(url).map_err(invalid)?;
        let uri = normal
            .parse()
            .map_err(|error: InvalidUri| invalid(error.to_string()).with_source(error))?;
        Ok(Self { uri, redacted: redacted(url), connect, data: Extensions::new() })
    }

    /// Sets the data of the connection.
    pub(crate) fn with_data(self, data: Extensions) -> Self {
        Self { data, ..self }
    }

    /// The handshake to begin with, over HTTP/1.1.
    pub(crate) fn open(&self) -> Result<Opening> {
        self.open_by(&self.connect)
    }

    /// The target alone, for a stream without a handshake.
    pub(crate) fn target(&self) -> Result<Target> {
        Target::from_uri(&self.uri).ok_or_else(|| {
            let error = RequestError::Uri { uri: self.redacted.clone() };
            Error::new(ErrorKind::InvalidUrl, error.to_string()).with_source(error)
        })
    }

    /// Makes the handshake with these options, which differ from its own in their mechanism.
    pub(crate) fn open_by(&self, connect: &Connect) -> Result<Opening> {
        connect.open(&self.uri).map_err(|error| {
            let (kind, error) = match error {
                RequestError::Uri { .. } => {
                    (ErrorKind::InvalidUrl, RequestError::Uri { uri: self.redacted.clone() })
                }
                error => (ErrorKind::InvalidHandshakeOption, error),
            };
            Error::new(kind, error.to_string()).with_source(error)
        })
    }
}

/// What a request asks for in addition to, or in place of, the client's settings.
pub(crate) struct Extra<'a> {
    request: &'a Request<()>,
}

impl<'a> Extra<'a> {
    /// Checks that the request is a WebSocket handshake of this version.
    pub(crate) fn new(request: &'a Request<()>, version: Version) -> Result<Self> {
        if request.method() != Method::GET {
            return Err(invalid(format!("the method is {}, not GET", request.method())));
        }
        if request.version() != HttpVersion::HTTP_11 {
            return Err(invalid(format!("the version is {:?}, not HTTP/1.1", request.version())));
        }
        let headers = request.headers();
        let version = version.number().to_string();
        for (name, wanted, has_more) in [
            (UPGRADE, "websocket", false),
            (CONNECTION, "upgrade", true),
            (SEC_WEBSOCKET_VERSION, &version, false),
        ] {
            if headers.contains_key(&name) && !says(headers, &name, wanted, has_more) {
                return Err(invalid(format!("the header {name} is not \"{wanted}\"")));
            }
        }
        Ok(Self { request })
    }

    /// The subprotocols to offer, if the request has any.
    pub(crate) fn protocols(&self) -> Result<Option<Vec<Subprotocol>>> {
        let headers = self.request.headers();
        if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            return Ok(None);
        }
        parse_subprotocols(headers).map(Some).map_err(|error| {
            let message = format!("Sec-WebSocket-Protocol: {error}");
            invalid(message).with_source(error)
        })
    }

    /// Adds the headers. Each replaces those of the same name.
    pub(crate) fn add_to(&self, connect: Connect) -> Result<Connect> {
        let headers = self.request.headers();
        let mut connect = connect.retain_headers(|name, _| !headers.contains_key(name));
        let handshakes =
            [UPGRADE, CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL];
        for (name, value) in headers {
            if name == ORIGIN {
                let value = value.to_str().map_err(|_| {
                    invalid(
                        "the header Origin has a character that is not visible ASCII".to_owned(),
                    )
                })?;
                connect = connect.origin(value);
            } else if !handshakes.contains(name) {
                connect = connect.header(name.clone(), value.clone());
            }
        }
        Ok(connect)
    }
}

/// Whether each line of this header is this value or, if it can be a list, whether a member is.
fn says(headers: &HeaderMap, name: &HeaderName, wanted: &str, has_more: bool) -> bool {
    let is_wanted = |value: &str| value.trim().eq_ignore_ascii_case(wanted);
    let mut lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    match has_more {
        true => lines.any(|line| line.split(',').any(is_wanted)),
        false => lines.all(is_wanted),
    }
}

fn invalid(why: String) -> Error {
    let message = format!("the request is invalid: {why}");
    Error::new(ErrorKind::InvalidHandshakeOption, message)
}
