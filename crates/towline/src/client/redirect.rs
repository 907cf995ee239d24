//! Where a redirect leads, and which headers are sent along.

use http::header::{AUTHORIZATION, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, StatusCode, Uri};
use towline_proto::handshake::{Connect, Opening, Target};

use crate::client::asked::Asked;
use crate::client::shown::shown;
use crate::client::url::normal;

/// Whether this status is a redirect.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The URL of a target, without user and password.
pub(crate) fn url(target: &Target) -> String {
    format!("{}://{}{}", scheme(target), target.authority(), target.resource())
}

fn scheme(target: &Target) -> &'static str {
    if target.is_secure() { "wss" } else { "ws" }
}

/// What to ask for after this response. The error is the end of a sentence that begins with the
/// name of the server.
pub(crate) fn follow(
    opening: &Opening,
    connect: Connect,
    answer: &HeaderMap,
) -> Result<Asked, String> {
    let from = opening.target();
    let location = location(answer)?;
    let to = resolve(from, location)?;
    let is_none = |why| format!("redirects to {}, which is not a URL: {why}", shown(location));
    let to = normal(&to).map_err(is_none)?;
    let none = "it is malformed";
    let uri: Uri = to.parse().map_err(|_| is_none(none.to_owned()))?;
    let target = Target::from_uri(&uri).ok_or_else(|| is_none(none.to_owned()))?;
    if from.is_secure() && !target.is_secure() {
        return Err(format!("redirects to {}, out of TLS", shown(&to)));
    }
    Ok(Asked::new(uri, taken_along(connect, opening, &target)))
}

fn location(answer: &HeaderMap) -> Result<&str, String> {
    let mut lines = answer.get_all(LOCATION).iter();
    let Some(location) = lines.next() else {
        return Err("redirects without a Location".to_owned());
    };
    if lines.next().is_some() {
        return Err("redirects with more than one Location".to_owned());
    }
    let location = std::str::from_utf8(location.as_bytes())
        .map_err(|_| "redirects with a Location that is not UTF-8".to_owned())?;
    match location.trim() {
        "" => Err("redirects to an empty Location".to_owned()),
        location => Ok(location),
    }
}

/// Resolves a reference against a base URL (RFC 3986, section 5.2). [`normal`] removes the segments `.`
/// and `..`.
fn resolve(from: &Target, reference: &str) -> Result<String, String> {
    let reference = reference.split('#').next().unwrap_or_default();
    if let Some(other) = scheme_of(reference) {
        return match &*other.to_ascii_lowercase() {
            "ws" | "wss" | "http" | "https" => Ok(reference.to_owned()),
            _ => Err(format!("redirects to {}, of another scheme", shown(reference))),
        };
    }
    let scheme = scheme(from);
    if let Some(rest) = reference.strip_prefix("//") {
        return Ok(format!("{scheme}://{rest}"));
    }
    let (base, base_query) = with_query(from.resource());
    let (path, query) = with_query(reference);
    let (path, query) = match path {
        "" if query.is_empty() => (base.to_owned(), base_query),
        "" => (base.to_owned(), query),
        _ if path.starts_with('/') => (path.to_owned(), query),
        _ => {
            let directory = base.rfind('/').map_or("/", |end| &base[..=end]);
            (format!("{directory}{path}"), query)
        }
    };
    Ok(format!("{scheme}://{}{path}{query}", from.authority()))
}

/// The scheme of a reference that is an absolute URL.
fn scheme_of(reference: &str) -> Option<&str> {
    let end = reference.find([':', '/', '?'])?;
    let (scheme, rest) = reference.split_at(end);
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    (is_scheme && rest.starts_with(':') && scheme.bytes().all(byte)).then_some(scheme)
}

/// The path, and the query with its question mark.
fn with_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

/// Whether scheme, host and port are the same (RFC 6454, section 5).
pub(crate) fn is_same_origin(one: &Target, other: &Target) -> bool {
    let origin = |target: &Target| (target.is_secure(), target.port(), target.host().to_owned());
    origin(one) == origin(other)
}

/// The same origin gets all headers. Another origin gets no secrets, and no `Host`, which was meant
/// for the first one. `Origin` names the page, which stays the same.
fn taken_along(connect: Connect, opening: &Opening, to: &Target) -> Connect {
    if !is_same_origin(opening.target(), to) {
        let secrets = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST];
        return connect
            .retain_headers(|name, value| !value.is_sensitive() && !secrets.contains(name));
    }
    // The authorization may come from the URL.
    let authorization = opening.request().headers().get_all(AUTHORIZATION);
    let others = connect.retain_headers(|name, _| name != AUTHORIZATION);
    authorization.iter().fold(others, |connect, value| connect.header(AUTHORIZATION, value.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn from(url: &str, location: &str) -> Result<String, String> {
        let target = Target::from_uri(&url.parse().unwrap()).unwrap();
        resolve(&target, location)
    }

    #[test]
    fn a_reference_is_resolved_against_where_it_was_found() {
        for (reference, expected) in [
            ("/x", "ws://h:1/x"),
            ("/x?y#z", "ws://h:1/x?y"),
            ("x", "ws://h:1/a/b/x"),
            ("./x/", "ws://h:1/a/b/x/"),
            ("../x", "ws://h:1/a/x"),
            ("../../../../x", "ws://h:1/x"),
            ("..", "ws://h:1/a/"),
            (".", "ws://h:1/a/b/"),
            ("x/../y/.", "ws://h:1/a/b/y/"),
            ("?y", "ws://h:1/a/b/c?y"),
            ("#z", "ws://h:1/a/b/c?q=/../"),
            ("//other/x", "ws://other/x"),
            ("ws://other", "ws://other"),
            ("HTTPS://other/x", "HTTPS://other/x"),
            ("x?y=http://z", "ws://h:1/a/b/x?y=http://z"),
            ("./x:y", "ws://h:1/a/b/x:y"),
        ] {
            let resolved = from("ws://u:p@h:1/a/b/c?q=/../", reference).unwrap();
            assert_eq!(normal(&resolved), normal(expected), "{reference}");
        }
        assert_eq!(from("wss://h", "x"), Ok("wss://h/x".to_owned()));
    }

    #[test]
    fn another_scheme_is_told() {
        for reference in ["ftp://h/", "mailto:me@h", "javascript:1", "a:b", "file:///etc/passwd"] {
            let why = from("ws://h/", reference).unwrap_err();
            assert!(why.contains("another scheme"), "{why}");
        }
    }

    fn answer(location: &[u8]) -> HeaderMap {
        let value = HeaderValue::from_bytes(location).unwrap();
        HeaderMap::from_iter([(LOCATION, value)])
    }

    fn opening(url: &str) -> Opening {
        Connect::new().open(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn nothing_leads_out_of_tls() {
        let opening = opening("wss://h/");
        for location in ["ws://h/x", "http://h/x", "HTTP://user:secret@h:443/x"] {
            let why = follow(&opening, Connect::new(), &answer(location.as_bytes())).err().unwrap();
            assert!(why.ends_with(", out of TLS") && !why.contains("secret"), "{why}");
        }
        for location in ["wss://h/x", "https://other/x", "//other", "/x"] {
            assert!(follow(&opening, Connect::new(), &answer(location.as_bytes())).is_ok());
        }
    }

    #[test]
    fn tls_and_another_port_are_another_origin() {
        let secret = || Connect::new().header("cookie", "a=b");
        for (from, to, is_same) in [
            ("ws://h/", "wss://h/", false),
            ("wss://h/", "wss://h:444/", false),
            ("wss://h/", "wss://other/", false),
            ("wss://h/", "https://H:443/x", true),
            ("ws://h:80/", "/x", true),
        ] {
            let asked = follow(&opening(from), secret(), &answer(to.as_bytes())).unwrap();
            let headers = asked.open().unwrap().request().headers().clone();
            assert_eq!(headers.contains_key(COOKIE), is_same, "{from} {to}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(location in "(wss?:|https?:)?[/?#.:@a\\[\\]% ]{0,20}|[!-~\u{a0}-\u{ff}]{0,20}") {
            let _ = follow(&opening("ws://h/a/b?c"), Connect::new(), &answer(location.as_bytes()));
        }

        #[test]
        fn no_location_makes_it_panic(location in r"(ws:|http:)?[/?#.:@a\[\]%]{0,20}|\PC{0,20}") {
            if let Ok(url) = from("ws://h/a/b?c", &location) {
                prop_assert!(url.contains(':'));
            }
        }
    }
}
