//! Parsing of the client's opening handshake (RFC 6455, section 4.2.1), header by header.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use crate::handshake::authority::Authority;
use crate::handshake::excerpt::excerpt;
use crate::handshake::header::{SEC_WEBSOCKET_ORIGIN, lists, single, spelt};
use crate::handshake::key::Key;
use crate::handshake::mechanism::{Mechanism, Protocol};
use crate::handshake::rejection::Rejection;
use crate::handshake::version::Version;

pub(crate) fn bad(reason: impl Into<String>) -> Rejection {
    Rejection::new(StatusCode::BAD_REQUEST, reason.into())
}

/// RFC 6455, section 4.2.1, items 1, 3 and 4.
pub(crate) fn check_upgrade(
    method: &Method,
    version: http::Version,
    headers: &HeaderMap,
) -> Result<(), Rejection> {
    // "An HTTP/1.1 or higher GET request".
    if method != Method::GET {
        let reason = format!("a WebSocket is opened by GET, not by {}", excerpt(method.as_str()));
        return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, reason)
            .header(header::ALLOW, HeaderValue::from_static("GET")));
    }
    if version < http::Version::HTTP_11 {
        return Err(bad(format!("a WebSocket needs HTTP/1.1, not {version:?}")));
    }
    // "An |Upgrade| header field containing the value "websocket", treated as an ASCII
    // case-insensitive value", and "a |Connection| header field that includes the token
    // "Upgrade"".
    for (name, wanted) in [(header::UPGRADE, "websocket"), (header::CONNECTION, "Upgrade")] {
        if !lists(headers, &name, wanted) {
            let reason = format!(
                "only WebSockets are served here: the request has no \"{}: {wanted}\"",
                spelt(&name)
            );
            return Err(Rejection::new(StatusCode::UPGRADE_REQUIRED, reason)
                .header(header::UPGRADE, HeaderValue::from_static("websocket")));
        }
    }
    // Frames follow the head. A proxy that took some of them for a body would disagree on where it
    // ends.
    let lengths = headers.get_all(header::CONTENT_LENGTH);
    if headers.contains_key(header::TRANSFER_ENCODING) || lengths.iter().any(|length| length != "0")
    {
        return Err(bad("a request for a WebSocket has no body"));
    }
    Ok(())
}

/// RFC 8441, section 5.
pub(crate) fn check_extended_connect(
    method: &Method,
    extensions: &Extensions,
) -> Result<(), Rejection> {
    let protocol = extensions.get::<Protocol>();
    if method != Method::CONNECT {
        let reason = "over this version of HTTP, a WebSocket is opened by extended CONNECT";
        return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, reason)
            .header(header::ALLOW, HeaderValue::from_static("CONNECT")));
    }
    match protocol {
        Some(protocol) if protocol.is_websocket() => Ok(()),
        // RFC 9220, section 3: "the server SHOULD respond to the request with a 501 (Not
        // Implemented) status code".
        Some(protocol) => {
            let reason = format!(":protocol is {}, not \"websocket\"", excerpt(protocol.as_str()));
            Err(Rejection::new(StatusCode::NOT_IMPLEMENTED, reason))
        }
        None => Err(bad("a CONNECT without :protocol does not open a WebSocket")),
    }
}

/// Returns the value of a header that may appear once, or a 400 that names it.
fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Rejection> {
    single(headers, name).map_err(|error| bad(format!("{} {error}", spelt(name))))
}

pub(crate) fn read_version(
    headers: &HeaderMap,
    mechanism: Mechanism,
    oldest: Version,
) -> Result<Version, Rejection> {
    let value = field(headers, &header::SEC_WEBSOCKET_VERSION)?;
    let version = value.and_then(Version::parse);
    if let Some(version) = version.filter(|version| version.number() >= oldest.number()) {
        return Ok(version);
    }
    let found = value.map_or("missing".to_owned(), excerpt);
    let supported = oldest.and_later();
    let verb = if supported.contains(',') { "are" } else { "is" };
    let reason = format!("Sec-WebSocket-Version is {found}; supported {verb} {supported}");
    // RFC 6455, section 4.4: "the server MUST respond with a |Sec-WebSocket-Version| header field
    // … containing all versions the server is willing to use". HTTP/2 knows no upgrade.
    let rejection = match mechanism {
        Mechanism::Http1Upgrade => Rejection::new(StatusCode::UPGRADE_REQUIRED, reason)
            .header(header::UPGRADE, HeaderValue::from_static("websocket")),
        Mechanism::ExtendedConnect => bad(reason),
    };
    let supported = HeaderValue::from_static(supported);
    Err(rejection.header(header::SEC_WEBSOCKET_VERSION, supported))
}

pub(crate) fn read_key(headers: &HeaderMap) -> Result<Key, Rejection> {
    let value = field(headers, &header::SEC_WEBSOCKET_KEY)?
        .ok_or_else(|| bad("Sec-WebSocket-Key is missing"))?;
    Key::parse(value).map_err(|error| bad(error.to_string()))
}

pub(crate) fn read_host(
    uri: &Uri,
    headers: &HeaderMap,
    mechanism: Mechanism,
) -> Result<String, Rejection> {
    let header = field(headers, &header::HOST)?;
    if mechanism == Mechanism::Http1Upgrade && header.is_none() {
        return Err(bad("Host is missing"));
    }
    // RFC 7230, section 5.4: a server "MUST ignore the received Host header field" if the target
    // names an authority.
    let host = uri.authority().map(|authority| authority.as_str()).or(header);
    let host = host.ok_or_else(|| bad(":authority is missing"))?;
    match Authority::parse(host) {
        Some(_) => Ok(host.to_owned()),
        None => Err(bad(format!("the host {} is not a host and a port", excerpt(host)))),
    }
}

pub(crate) fn read_resource(uri: &Uri) -> Result<String, Rejection> {
    let path = uri.path();
    if !path.starts_with('/') {
        return Err(bad(format!("the request's target {} has no path", excerpt(uri.to_string()))));
    }
    Ok(uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
}

pub(crate) fn read_origin(
    headers: &HeaderMap,
    version: Version,
) -> Result<Option<String>, Rejection> {
    let origin = field(headers, &header::ORIGIN)?;
    let origin = match version {
        Version::Rfc6455 => origin,
        // A browser always sends `Origin`; claiming draft 8 must not bypass the check.
        Version::Draft8 => match (field(headers, &SEC_WEBSOCKET_ORIGIN)?, origin) {
            (Some(draft), Some(origin)) if draft != origin => {
                return Err(bad("Sec-WebSocket-Origin and Origin differ"));
            }
            (draft, origin) => draft.or(origin),
        },
    };
    Ok(origin.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_path_and_the_query_are_the_resource() {
        let resource = |uri: &str| read_resource(&uri.parse().unwrap());
        assert_eq!(resource("/").unwrap(), "/");
        assert_eq!(resource("/a?b").unwrap(), "/a?b");
        assert_eq!(resource("http://a").unwrap(), "/");
        assert_eq!(resource("http://a?b").unwrap(), "/?b");
        assert!(resource("*").is_err());
    }

    #[test]
    fn over_http_2_the_host_may_stand_in_either_place() {
        let mut headers = HeaderMap::new();
        let host = |uri: &str, headers: &HeaderMap| {
            read_host(&uri.parse().unwrap(), headers, Mechanism::ExtendedConnect)
        };
        assert_eq!(host("https://a:1/", &headers).unwrap(), "a:1");
        assert!(host("/", &headers).is_err());
        headers.insert(header::HOST, HeaderValue::from_static("b"));
        assert_eq!(host("/", &headers).unwrap(), "b");
        assert_eq!(host("https://a:1/", &headers).unwrap(), "a:1");
    }
}
