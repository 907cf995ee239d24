//! A tunnel through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).

use std::io::Cursor;

use http::header::{HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use tokio::io::AsyncReadExt as _;
use towline_proto::handshake::{HeadLimits, Target};

use crate::client::answer::{ask, body_start};
use crate::client::proxy::hop::Hop;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::AnyStream;

/// How many authentication schemes of a proxy an error names. A longer name than any known is left
/// out.
const SCHEMES: usize = 4;
const SCHEME_MAX: usize = 32;

/// Turns the stream to the proxy into one to the target.
pub(crate) async fn connect(
    mut stream: AnyStream,
    hop: &Hop,
    target: &Target,
    headers: &HeaderMap,
    limits: &HeadLimits,
) -> Result<AnyStream> {
    let request = request(hop, target, headers)?;
    let mut early = Vec::new();
    let whom = format!("the proxy {hop}");
    let response =
        ask(&mut stream, &request, limits, &mut early, (ErrorKind::ProxyFailed, &whom)).await?;
    let status = response.status();
    // "Any 2xx (Successful) response indicates that the sender … will switch to tunnel mode
    // immediately after the response header section": such a response has no body.
    if status.is_success() {
        return Ok(match early.is_empty() {
            true => stream,
            false => begun(early, stream),
        });
    }
    let why = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => unauthenticated(hop, response.headers()),
        _ => String::new(),
    };
    let (host, port) = (target.host(), target.port());
    let message = format!("{whom} refused to connect to {host}, port {port}: {status}{why}");
    let body = body_start(&mut stream, early, &response).await;
    Err(Error::new(ErrorKind::ProxyRefused, message).with_response(response.map(|()| body)))
}

fn request(hop: &Hop, target: &Target, headers: &HeaderMap) -> Result<Request<()>> {
    // "There is no default port; a client MUST send the port number".
    let authority = match target.host().contains(':') {
        true => format!("[{}]:{}", target.host(), target.port()),
        false => format!("{}:{}", target.host(), target.port()),
    };
    let invalid = |error: http::Error| {
        let message = format!("the proxy can't be asked for {authority}: {error}");
        Error::new(ErrorKind::InvalidUrl, message).with_source(error)
    };
    let uri = Uri::builder().authority(&*authority).build().map_err(invalid)?;
    let host = HeaderValue::from_str(&authority).map_err(|error| invalid(error.into()))?;
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().extend(headers.clone());
    if let Some(credentials) = &hop.credentials {
        request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.basic());
    }
    Ok(request)
}

/// Why the proxy asks for authentication. It may ask for a scheme that is not supported.
fn unauthenticated(hop: &Hop, headers: &HeaderMap) -> String {
    let asked = schemes(headers);
    let has_basic = asked.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic"));
    match (&hop.credentials, has_basic || asked.is_empty()) {
        (None, true) => ": it asks for a user and password".to_owned(),
        (Some(_), true) => ": it does not accept this user and password".to_owned(),
        (_, false) => format!(
            ": it asks for the authentication scheme {}, which is not supported (only Basic is)",
            asked.join(" or ")
        ),
    }
}

/// The schemes of the challenges (RFC 9110, section 11.6.1): `Negotiate, Basic realm="a, b"`. The
/// commas of a list also separate parameters, which have equals signs.
fn schemes(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(PROXY_AUTHENTICATE).iter();
    let mut schemes: Vec<String> = Vec::new();
    for line in lines.filter_map(|line| line.to_str().ok()) {
        let mut is_quoted = false;
        for part in line.split(|character| {
            is_quoted ^= character == '"';
            character == ',' && !is_quoted
        }) {
            let part = part.trim();
            let (word, rest) = part.split_once([' ', '\t']).unwrap_or((part, ""));
            if rest.trim_start().starts_with('=') {
                continue;
            }
            let is_token = |character: char| {
                character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
            };
            let is_scheme =
                !word.is_empty() && word.len() <= SCHEME_MAX && word.chars().all(is_token);
            if is_scheme && schemes.len() < SCHEMES && !schemes.iter().any(|known| known == word) {
                schemes.push(word.to_owned());
            }
        }
    }
    schemes
}

/// A stream whose first bytes were read together with the proxy's response.
fn begun(early: Vec<u8>, stream: AnyStream) -> AnyStream {
    let (read, write) = tokio::io::split(stream);
    AnyStream::new(tokio::io::join(Cursor::new(early).chain(read), write))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_told_from_their_parameters() {
        let schemes = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| HeaderValue::from_static(line));
            let headers: HeaderMap = lines.map(|line| (PROXY_AUTHENTICATE, line)).collect();
            schemes(&headers).join(" ")
        };
        assert_eq!(schemes(&["Basic realm=\"a, b\""]), "Basic");
        assert_eq!(schemes(&["Negotiate", "NTLM", "Negotiate"]), "Negotiate NTLM");
        let digest = "Digest realm=\"a\", qop=\"auth, auth-int\", nonce = \"x\", Bearer";
        assert_eq!(schemes(&[digest]), "Digest Bearer");
        assert_eq!(schemes(&["Negotiate TlRMTVNTUAAC==, Basic"]), "Negotiate Basic");
        assert_eq!(schemes(&["", ", ,", "\"", "a b=c"]), "a");
    }
}
