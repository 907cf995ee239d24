//! A tunnel through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).

use std::io::Cursor;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use tokio::io::AsyncReadExt as _;
use towline_proto::handshake::{HeadLimits, Target};

use crate::client::answer::{ask, body_start};
use crate::client::proxy::hop::Hop;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::AnyStream;

/// The stream to the proxy, as one to the target.
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
    // immediately after the response header section": what is said there of a body is void.
    if status.is_success() {
        return Ok(match early.is_empty() {
            true => stream,
            false => begun(early, stream),
        });
    }
    let why = match (status, &hop.credentials) {
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, None) => ": it asks for a user and a password",
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) => ": not to this user and this password",
        _ => "",
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
        let message = format!("no proxy can be asked for {authority}: {error}");
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

/// A stream of which the beginning has been read already, together with the proxy's answer.
fn begun(early: Vec<u8>, stream: AnyStream) -> AnyStream {
    let (read, write) = tokio::io::split(stream);
    AnyStream::new(tokio::io::join(Cursor::new(early).chain(read), write))
}
