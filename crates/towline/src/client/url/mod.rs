//! URLs as browsers read them: the URL Standard of WHATWG, for the special schemes.
//!
//! The output is an ASCII URI (RFC 3986), as `http::Uri` takes it. Errors name the faulty part, and
//! never show a user or a password.

mod encode;

mod host;

use std::borrow::Cow;

use crate::client::shown::in_quotes;
use crate::client::url::encode::{PATH, QUERY, USER_INFO, encode};
use crate::client::url::host::host;

/// The longest URI that `http::Uri` takes.
const LONGEST: usize = u16::MAX as usize - 1;

/// How an error shows a part of the URL: quoted after a space, or not at all. If a password has a
/// slash, the user is parsed as the host.
#[derive(Clone, Copy)]
pub(crate) struct Quote {
    is_silent: bool,
}

impl Quote {
    fn of(self, value: &str) -> String {
        if self.is_silent { String::new() } else { format!(" {}", in_quotes(value)) }
    }
}

/// Returns the URL in normal form, without its fragment.
///
/// The error is the end of a sentence: `the port "70000" is above 65535`.
pub(crate) fn normal(url: &str) -> Result<String, String> {
    let url = cleaned(url);
    let (scheme, rest) = scheme(&url)?;
    // Any number of slashes, including none, counts as two.
    let rest = rest.trim_start_matches(['/', '\\']);
    // RFC 6455, section 3, allows no fragment. WHATWG removes it.
    let without_fragment = rest.split('#').next().unwrap_or_default();
    let end = without_fragment.find(['/', '\\', '?']).unwrap_or(without_fragment.len());
    let (authority, resource) = without_fragment.split_at(end);
    let quote = Quote { is_silent: rest[end..].contains('@') };

    let mut out = format!("{scheme}://");
    let host_and_port = match authority.rsplit_once('@') {
        Some((user_info, rest)) => {
            push_user_info(user_info, &mut out);
            rest
        }
        None => authority,
    };
    let (host_part, port_part) = split_port(host_and_port);
    if host_part.is_empty() {
        return Err("the host is missing".to_owned());
    }
    out.push_str(&host(host_part, quote)?);
    if let Some(port) = port_part.map(|digits| port(digits, quote)).transpose()?.flatten() {
        out.push_str(&format!(":{port}"));
    }
    let (path, query) = resource.split_at(resource.find('?').unwrap_or(resource.len()));
    push_path(path, &mut out);
    if let Some(query) = query.strip_prefix('?') {
        out.push('?');
        encode(query, &QUERY, &mut out);
    }
    if out.len() > LONGEST {
        return Err(format!("it has {} bytes: the limit is {LONGEST}", out.len()));
    }
    Ok(out)
}

/// Removes control characters and spaces around the URL, and tabs and line ends anywhere.
fn cleaned(url: &str) -> Cow<'_, str> {
    let url = url.trim_matches(|character| character <= ' ');
    match url.contains(['\t', '\r', '\n']) {
        true => url.replace(['\t', '\r', '\n'], "").into(),
        false => url.into(),
    }
}

/// Splits the URL into its scheme and the text after the colon.
fn scheme(url: &str) -> Result<(&'static str, &str), String> {
    let is_scheme = |name: &str| {
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(byte)
    };
    let Some((name, rest)) = url.split_once(':').filter(|(name, _)| is_scheme(name)) else {
        return Err("the scheme is missing: it is \"ws://\" or \"wss://\"".to_owned());
    };
    match &*name.to_ascii_lowercase() {
        "ws" => Ok(("ws", rest)),
        "wss" => Ok(("wss", rest)),
        "http" => Ok(("http", rest)),
        "https" => Ok(("https", rest)),
        // Without slashes, it may be a user or a host.
        _ if rest.starts_with("//") => Err(format!(
            "the scheme {} is not one of \"ws\", \"wss\", \"http\" and \"https\"",
            in_quotes(name)
        )),
        _ => Err("the scheme is missing: it is \"ws://\" or \"wss://\"".to_owned()),
    }
}

fn push_user_info(user_info: &str, out: &mut String) {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    if user.is_empty() && password.is_empty() {
        return;
    }
    encode(user, &USER_INFO, out);
    if !password.is_empty() {
        out.push(':');
        encode(password, &USER_INFO, out);
    }
    out.push('@');
}

/// Splits off the port: the text after a colon outside of brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let from = match authority.starts_with('[') {
        true => authority.rfind(']').unwrap_or(authority.len()),
        false => 0,
    };
    match authority[from..].find(':') {
        Some(colon) => (&authority[..from + colon], Some(&authority[from + colon + 1..])),
        None => (authority, None),
    }
}

fn port(digits: &str, quote: Quote) -> Result<Option<u16>, String> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // The value is not shown: if a slash follows, it is more likely a password.
        return Err(
            "its port is not a number; in a user and a password, \"/\", \"?\" and \"#\" are \
                    written with percent signs"
                .to_owned(),
        );
    }
    if digits.is_empty() {
        return Ok(None);
    }
    let port = digits.parse().map(Some);
    port.map_err(|_| format!("the port{} is above 65535", quote.of(digits)))
}

/// Appends the path without the segments `.` and `..`, however they are encoded, and with slashes
/// for backslashes.
fn push_path(path: &str, out: &mut String) {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split(['/', '\\']).skip(1).peekable();
    while let Some(segment) = segments.next() {
        let dots = dots(segment);
        match dots {
            Some(2) => drop(kept.pop()),
            Some(_) => {}
            None => kept.push(segment),
        }
        if dots.is_some() && segments.peek().is_none() {
            // `.` and `..` stand for a directory.
            kept.push("");
        }
    }
    if kept.is_empty() {
        out.push('/');
    }
    for segment in kept {
        out.push('/');
        encode(segment, &PATH, out);
    }
}

/// The number of dots, if the segment is one or two dots. Each can be written as `%2e`.
fn dots(segment: &str) -> Option<usize> {
    // Most segments are too long to be dots.
    let decoded = (segment.len() <= 6).then(|| segment.to_ascii_lowercase().replace("%2e", "."))?;
    matches!(&*decoded, "." | "..").then_some(decoded.len())
}
