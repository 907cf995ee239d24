//! What is not shown of a handshake, unless `connect --show-secrets` is given.

use std::borrow::Cow;

use http::HeaderValue;
use towline::Target;

/// Stands for a value that is not shown.
const HIDDEN: &str = "(hidden: --show-secrets shows it)";

/// Stands for a query, and for other values where no option shows them.
const SHORT: &str = "(hidden)";

/// A header's value, without its credentials unless `shows_secrets`.
pub(crate) fn shown(name: &str, value: &HeaderValue, shows_secrets: bool) -> String {
    match shows_secrets {
        true => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        false => header(name, value).into_owned(),
    }
}

fn header<'v>(name: &str, value: &'v HeaderValue) -> Cow<'v, str> {
    let is_secret = ["authorization", "proxy-authorization", "cookie", "set-cookie"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret));
    let text = String::from_utf8_lossy(value.as_bytes());
    match name.eq_ignore_ascii_case("sec-websocket-protocol") {
        _ if is_secret => HIDDEN.into(),
        true => protocols(text),
        _ => text,
    }
}

/// A list of subprotocols, without tokens.
fn protocols(list: Cow<'_, str>) -> Cow<'_, str> {
    let shown = hide(list.split(',').map(str::trim), HIDDEN);
    if shown.contains(&HIDDEN) { shown.join(", ").into() } else { list }
}

/// Subprotocols that are offered, without tokens, for output that has no option to show them.
pub(crate) fn offered(names: &[String]) -> Vec<String> {
    let shown = hide(names.iter().map(String::as_str), SHORT);
    shown.into_iter().map(str::to_owned).collect()
}

/// Puts this in the place of tokens: browsers can't set headers, so pages offer a token as a subprotocol.
fn hide<'n>(names: impl Iterator<Item = &'n str>, mark: &'n str) -> Vec<&'n str> {
    let mut is_announced = false;
    let shown = names.map(|name| {
        let is_hidden = is_announced || is_token(name);
        is_announced = announces(name);
        if is_hidden { mark } else { name }
    });
    shown.collect()
}

/// A subprotocol, unless a token is in its place.
pub(crate) fn protocol(name: &str) -> &str {
    if is_token(name) { HIDDEN } else { name }
}

/// The same for output that has no option to show it.
pub(crate) fn protocol_in_log(name: &str) -> &str {
    if is_token(name) { SHORT } else { name }
}

/// Why a handshake failed, for the log. What is wrong with `Sec-WebSocket-Protocol` is told without the value:
/// it can be a token that the client has offered in a wrong way.
pub(crate) fn reason(reason: &str) -> String {
    const NAME: &str = "Sec-WebSocket-Protocol";
    let parts = || {
        let (before, rest) = reason.split_once(NAME)?;
        let (between, value) = rest.split_once('"')?;
        let (_, after) = value.rsplit_once('"')?;
        Some(format!("{before}{NAME}{between}{SHORT}{after}"))
    };
    parts().unwrap_or_else(|| reason.to_owned())
}

/// A URL without user and password, or its path and query, without the query and the fragment. A token can
/// be anywhere in a query, also in place of a name.
pub(crate) fn without_query(url: &str) -> String {
    match url.split_at(url.find(['?', '#']).unwrap_or(url.len())) {
        (shown, query) if query.len() > 1 && query.starts_with('?') => format!("{shown}?{SHORT}"),
        (shown, _) => shown.to_owned(),
    }
}

/// The URL of a server, without user, password and query.
pub(crate) fn target(target: &Target) -> String {
    let scheme = if target.is_secure() { "wss" } else { "ws" };
    format!("{scheme}://{}{}", target.authority(), without_query(target.resource()))
}

/// A URL that may be invalid, without user, password and query.
pub(crate) fn url(url: &str) -> String {
    without_query(&without_password(url))
}

/// A URL that may be invalid, without user and password. A password may have any character, so everything
/// before the last `@` is left out.
pub(crate) fn without_password(url: &str) -> String {
    match url.split_once("//") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, shown)) => format!("{scheme}//...@{shown}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// Whether a subprotocol is a token: `bearer.…`, that of Kubernetes, or a JWT.
fn is_token(name: &str) -> bool {
    let is_jwt = |text: &str| text.starts_with("eyJ") && text.matches('.').count() >= 2;
    let jwts = name.match_indices("eyJ").any(|(at, _)| is_jwt(&name[at..]));
    jwts || name.to_ascii_lowercase().contains("bearer.")
}

/// Whether a token follows a subprotocol of this name, as in `access_token, 6a3f…`.
fn announces(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "access_token",
        "access-token",
        "api-key",
        "auth",
        "authorization",
        "bearer",
        "jwt",
        "token",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden() {
        let shown = |name, value: &str| header(name, &value.parse().unwrap()).into_owned();
        assert_eq!(shown("Authorization", "Bearer s3cret"), HIDDEN);
        assert_eq!(shown("set-cookie", "a=s3cret"), HIDDEN);
        assert_eq!(shown("host", "a"), "a");
        let jwt = "eyJhbGciOiJIUzI1NiJ9.e30.s3cret";
        for token in ["bearer.s3cret", "Bearer.s3cret", jwt, &format!("access-token-{jwt}")] {
            let value = format!("chat.v1,{token}");
            assert_eq!(shown("sec-websocket-protocol", &value), format!("chat.v1, {HIDDEN}"));
            assert_eq!(protocol(token), HIDDEN);
            assert_eq!(protocol_in_log(token), SHORT);
        }
        let kubernetes = "base64url.bearer.authorization.k8s.io.s3cret";
        assert!(!shown("Sec-WebSocket-Protocol", kubernetes).contains("s3cret"));
        assert_eq!(shown("sec-websocket-protocol", "chat.v1,mqtt"), "chat.v1,mqtt");
        for announced in
            ["access_token, s3cret", "Authorization,s3cret", "chat.v1,token,s3cret,mqtt"]
        {
            let shown = shown("sec-websocket-protocol", announced);
            assert!(!shown.contains("s3cret") && shown.contains(HIDDEN), "{shown}");
        }
        assert_eq!(shown("sec-websocket-protocol", "chat.v1,token"), "chat.v1,token");
    }

    #[test]
    fn a_faulty_offer_is_told_without_its_value() {
        for (offer, expected) in [
            ("s3cret, s3cret", "Sec-WebSocket-Protocol has (hidden) more than once"),
            ("a, Bearer s3cret", "Sec-WebSocket-Protocol: (hidden) is not a token"),
            ("s3cret=\"x\"", "Sec-WebSocket-Protocol: (hidden) is not a token"),
        ] {
            let headers = [(http::header::SEC_WEBSOCKET_PROTOCOL, offer.parse().unwrap())];
            let headers = headers.into_iter().collect();
            let error = towline_proto::handshake::parse_subprotocols(&headers).unwrap_err();
            assert_eq!(reason(&error.to_string()), expected);
        }
        for other in ["3 connections (max_connections)", "Sec-WebSocket-Key: 3 bytes"] {
            assert_eq!(reason(other), other);
        }
    }

    #[test]
    fn a_query_is_hidden_whole() {
        for (text, expected) in [
            ("wss://a/b", "wss://a/b"),
            ("wss://a/b?token=s3cret&room=1", "wss://a/b?(hidden)"),
            ("/?s3cret", "/?(hidden)"),
            // Base64, whose padding looks like the end of a name.
            ("/?s3cret==", "/?(hidden)"),
            ("/?", "/"),
            ("/a?b#s3cret", "/a?(hidden)"),
            ("/a#s3cret?b", "/a"),
        ] {
            assert_eq!(without_query(text), expected);
        }
        let uri = "wss://u:s3cret@a/@room?token=s3cret".parse().unwrap();
        assert_eq!(target(&Target::from_uri(&uri).unwrap()), "wss://a/@room?(hidden)");
    }

    #[test]
    fn a_url_that_may_be_invalid_shows_no_password() {
        for (text, expected) in [
            ("ws://u:s3cret@host/a", "ws://...@host/a"),
            ("//u:s3c/ret@host", "//...@host"),
            ("ws://u:s3c?ret@host/a?s3cret", "ws://...@host/a?(hidden)"),
            ("/a?s3cret//b@c", "/a?(hidden)"),
            ("ws://host/a", "ws://host/a"),
            ("/a@b", "/a@b"),
        ] {
            assert_eq!(url(text), expected);
        }
    }
}
