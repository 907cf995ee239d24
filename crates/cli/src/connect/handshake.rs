//! Both sides of the opening handshake, for people.

use std::fmt::Write as _;

use http::{HeaderMap, Version};
use towline::Connection;

use crate::secrets;

/// The request and the response, with their headers. Empty for a connection without a handshake.
pub(crate) fn text(connection: &Connection, shows_secrets: bool) -> String {
    let mut text = String::new();
    if let Some(request) = connection.request() {
        let version = name(request.version());
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = if shows_secrets { target.into() } else { secrets::without_query(target) };
        let _ = write!(text, "request: {} {target} {version}", request.method());
        headers(&mut text, request.headers(), shows_secrets);
        text.push('\n');
    }
    if let Some(response) = connection.response() {
        let version = name(response.version());
        let _ = write!(text, "response: {version} {}", response.status());
        headers(&mut text, response.headers(), shows_secrets);
    }
    text
}

fn headers(text: &mut String, headers: &HeaderMap, shows_secrets: bool) {
    for (name, value) in headers {
        let value = secrets::shown(name.as_str(), value, shows_secrets);
        let _ = write!(text, "\n  {name}: {value}");
    }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_unless_they_are_wanted() {
        let mut map = HeaderMap::new();
        map.insert("host", "a".parse().unwrap());
        map.insert("authorization", "Bearer s3cret".parse().unwrap());
        map.append("set-cookie", "a=s3cret".parse().unwrap());
        let shown = |shows_secrets| {
            let mut text = String::new();
            headers(&mut text, &map, shows_secrets);
            text
        };
        assert!(shown(true).contains("\n  authorization: Bearer s3cret"));
        let hidden = shown(false);
        assert!(hidden.contains("\n  host: a") && !hidden.contains("s3cret"), "{hidden}");
        assert_eq!(hidden.matches("(hidden").count(), 2);
    }
}
