//! The console: the embedded files of the page, and the responses for them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::serve::board::Board;

/// What the page is allowed to do: run its own scripts and styles, show its icon, and connect to
/// any WebSocket.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($path:literal, $kind:ident, $file:literal;)*) => {
        &[$(Asset { path: $path, kind: $kind, bytes: include_bytes!($file) }),*]
    };
}

struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: &[Asset] = assets! {
    "/", HTML, "../console/index.html";
    "/console/console.css", CSS, "../console/console.css";
    "/console/theme.js", JS, "../console/theme.js";
    "/console/console.js", JS, "../console/console.js";
    "/console/codes.js", JS, "../console/codes.js";
    "/console/echo.js", JS, "../console/echo.js";
    "/console/format.js", JS, "../console/format.js";
    "/console/log.js", JS, "../console/log.js";
    "/console/plot.js", JS, "../console/plot.js";
    "/console/topics.js", JS, "../console/topics.js";
};

/// Where the page asks for the topics.
const BOARD: &str = "/console/topics.json";

/// Answers a request that is not a handshake.
pub(crate) fn answer<B>(request: &Request<B>, board: &Board) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path == BOARD && *request.method() == Method::GET {
        return list(board);
    }
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        let text = "Not found. The console is at /, and every path accepts WebSockets.\n";
        return plain(StatusCode::NOT_FOUND, text);
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response =
            plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed here.\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let tag = asset.tag();
    let mut response = if is_known(request.headers(), &tag) {
        Response::new(Full::default())
    } else {
        // hyper omits the body of a response to HEAD and keeps its length.
        Response::new(Full::from(asset.bytes))
    };
    if is_known(request.headers(), &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    secure(headers);
    response
}

/// The topics now. A page of another origin can't read them, since nothing here says that it may.
fn list(board: &Board) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(board.json()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    secure(headers);
    response
}

impl Asset {
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

/// Whether the browser has this version already.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(','));
    tags.any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*")
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    secure(headers);
    response
}

fn secure(headers: &mut HeaderMap) {
    const HEADERS: [(HeaderName, &str); 2] =
        [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer")];
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let names = |text: &str| -> Vec<String> {
            let parts = text.split('"');
            let parts = parts.filter(|part| part.ends_with(".js") || part.ends_with(".css"));
            parts
                .map(|part| part.trim_start_matches("console/").trim_start_matches("./").into())
                .collect()
        };
        let mut named = 0;
        for asset in ASSETS {
            for name in names(std::str::from_utf8(asset.bytes).unwrap()) {
                let path = format!("/console/{name}");
                assert!(ASSETS.iter().any(|asset| asset.path == path), "{path}");
                named += 1;
            }
        }
        assert!(named >= ASSETS.len() - 1);
    }
}
