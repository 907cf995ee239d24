//! Values of single headers, and what goes into headers.
//!
//! - What was parsed and is written out is parsed to the same.
//! - Addresses are believed from trusted proxies alone.
//! - Nothing that is set can begin another header, or another request.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue, Uri, header};
use towline_proto::handshake::{
    Connect, Credentials, ForwardedHeader, HeadLimits, Origin, OriginPolicy, SetCookie,
    Subprotocol, Target, TrustedProxies, encode_request, parse_cookies, parse_extension_list,
    parse_request, parse_subprotocols,
};

/// A trusted proxy, and a stranger.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

pub fn run(data: &[u8]) {
    let Some((first, value)) = data.split_first() else { return };
    match first % 8 {
        0 => extensions(value),
        1 => cookies(value),
        2 => subprotocols(value),
        3 => forwarded(value, *first),
        4 => origin(value),
        5 => set_cookie(value),
        6 => request(value),
        _ => target(value),
    }
}

fn extensions(value: &[u8]) {
    let Ok(list) = parse_extension_list(value) else { return };
    for extension in list {
        let again = parse_extension_list(extension.to_string()).expect("what was parsed");
        assert_eq!(again, [extension]);
    }
}

/// The lines of a value, as one header each.
fn lines(name: header::HeaderName, value: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in value.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(name.clone(), line);
        }
    }
    headers
}

fn cookies(value: &[u8]) {
    for cookie in parse_cookies(&lines(header::COOKIE, value)) {
        assert!(!cookie.name.contains([';', '\r', '\n']), "{cookie:?}");
    }
}

fn subprotocols(value: &[u8]) {
    let Ok(names) = parse_subprotocols(&lines(header::SEC_WEBSOCKET_PROTOCOL, value)) else {
        return;
    };
    for name in names {
        assert_eq!(Subprotocol::new(name.as_str()).expect("what was parsed"), name);
        assert!(name.matches(&name.as_str().to_ascii_uppercase()));
    }
}

fn forwarded(value: &[u8], first: u8) {
    let (name, kind) = if first & 8 == 0 {
        (header::FORWARDED, ForwardedHeader::Forwarded)
    } else {
        (header::HeaderName::from_static("x-forwarded-for"), ForwardedHeader::XForwardedFor)
    };
    let headers = lines(name, value);
    let proxies = TrustedProxies::default().header(kind);
    assert_eq!(proxies.client_address(STRANGER, &headers), STRANGER);
    assert_eq!(proxies.client_is_secure(STRANGER, &headers), None);
    assert_eq!(TrustedProxies::none().client_address(PROXY, &headers), PROXY);
    let _ = proxies.client_address(PROXY, &headers);
    let _ = proxies.client_is_secure(PROXY, &headers);
}

fn origin(value: &[u8]) {
    let Ok(text) = str::from_utf8(value) else { return };
    let (origin, host) = text.split_once('\n').unwrap_or((text, "example.com"));
    let is_allowed = OriginPolicy::SameOrigin.allows(Some(origin), host);
    match Origin::parse(origin) {
        Ok(parsed) => assert!(!(parsed.is_null() && is_allowed), "an opaque origin"),
        Err(_) => assert!(!is_allowed, "an origin that is none"),
    }
}

fn set_cookie(value: &[u8]) {
    let Ok(text) = str::from_utf8(value) else { return };
    let (name, value) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(cookie) = SetCookie::new(name, value) else { return };
    let written = cookie.to_header_value();
    assert!(!written.as_bytes().contains(&b';'), "{written:?} has an attribute");
    let read = parse_cookies(&HeaderMap::from_iter([(header::COOKIE, written)]));
    assert_eq!((read[0].name.as_str(), read[0].value.as_str()), (name, value));
}

/// A client's options, each as the lines say.
fn request(value: &[u8]) {
    let uri: Uri = "ws://example.com/chat".parse().expect("a URI");
    let mut connect = Connect::new();
    for line in value.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = line.split_first() else { continue };
        let text = String::from_utf8_lossy(rest).into_owned();
        connect = match kind {
            b'p' => connect.protocols([text]),
            b'o' => connect.origin(text),
            _ => {
                let at = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
                let (name, value) = rest.split_at(at);
                connect.header(name, value.get(1..).unwrap_or_default())
            }
        };
    }
    let Ok(opening) = connect.open(&uri) else { return };
    let mut encoded = Vec::new();
    encode_request(opening.request(), &mut encoded);
    let limits = HeadLimits::default().max_head_size(1 << 20).max_headers(1 << 10);
    let (again, len) = parse_request(&encoded, &limits).expect("a head").expect("a whole one");
    assert_eq!(len, encoded.len(), "more than a head");
    assert_eq!(again.headers().len(), opening.request().headers().len());
}

fn target(value: &[u8]) {
    if let Ok(text) = str::from_utf8(value) {
        let basic = Credentials::from_user_info(text).basic();
        assert!(basic.as_bytes().starts_with(b"Basic "));
    }
    let Ok(uri) = Uri::try_from(value) else { return };
    let Some(target) = Target::from_uri(&uri) else { return };
    let scheme = if target.is_secure() { "wss" } else { "ws" };
    let again = format!("{scheme}://{}{}", target.authority(), target.resource());
    let again = Target::from_uri(&again.parse().expect("a URI")).expect("a target");
    assert_eq!((again.host(), again.port()), (target.host(), target.port()));
    assert_eq!(again.resource(), target.resource());
}
