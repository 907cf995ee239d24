//! The console: the embedded files of its pages, their data, and the responses for them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::serve::board::Board;
use crate::serve::files::{Body, Files};
use crate::serve::handling::Access;
use crate::serve::hosts::{self, Hosts};
use crate::serve::live::{Live, Order};
use crate::serve::pages::{self, for_method, is_known, is_read};
use crate::serve::percent::parameter;
use crate::serve::visitor::{is_from_console, is_local};

/// What the pages are allowed to do: run their own scripts and styles, show their icon, and connect to
/// any WebSocket.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

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

/// The pages name each other and their files relative to themselves, so that they work behind a proxy
/// that adds to the path. `/console` is the same page as `/`, for a server that has files of its own.
const ASSETS: &[Asset] = assets! {
    "/", HTML, "../console/index.html";
    "/console", HTML, "../console/index.html";
    "/console/server", HTML, "../console/server.html";
    "/console/chat", HTML, "../console/chat.html";
    "/console/console.css", CSS, "../console/console.css";
    "/console/server.css", CSS, "../console/server.css";
    "/console/chat.css", CSS, "../console/chat.css";
    "/console/theme.js", JS, "../console/theme.js";
    "/console/console.js", JS, "../console/console.js";
    "/console/codes.js", JS, "../console/codes.js";
    "/console/echo.js", JS, "../console/echo.js";
    "/console/format.js", JS, "../console/format.js";
    "/console/log.js", JS, "../console/log.js";
    "/console/plot.js", JS, "../console/plot.js";
    "/console/topics.js", JS, "../console/topics.js";
    "/console/nav.js", JS, "../console/nav.js";
    "/console/server.js", JS, "../console/server.js";
    "/console/series.js", JS, "../console/series.js";
    "/console/chat.js", JS, "../console/chat.js";
};

/// Where the pages ask for the mode, with its topics or rooms.
const BOARD: &str = "/console/topics.json";

/// Where the page of the server asks for the connections, in the order of the parameter `sort`.
const LIVE: &str = "/console/live.json";

/// Closes the connection of the parameter `id`.
const CLOSE: &str = "/console/close";

/// Everything that is not a WebSocket.
#[derive(Clone)]
pub(crate) struct Console {
    pub(crate) board: Board,
    pub(crate) live: Live,
    pub(crate) access: Access,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) files: Option<Files>,
}

impl Console {
    /// Answers a request that is not a handshake.
    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let response = self.page(request).await;
        for_method(request.method(), response, || Body::Left(Full::default()))
    }

    async fn page<B>(&self, request: &Request<B>) -> Response<Body> {
        let path = request.uri().path();
        let is_own = path == "/console" || path.starts_with("/console/");
        match &self.files {
            Some(_) if !is_own && !self.is_known_host(request) => {
                return self.unknown_host(request).map(Body::Left);
            }
            Some(files) if !is_own => match files.answer(request).await {
                Some(response) => return response,
                None => return self.not_found(),
            },
            _ => {}
        }
        let response = match request.uri().path() {
            LIVE if is_read(request) => self.list(request).await,
            _ => self.own(request),
        };
        response.map(Body::Left)
    }

    fn own<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            BOARD if is_read(request) && self.shows(request) => json(self.board.json()),
            BOARD if is_read(request) => json(self.board.only_mode()),
            CLOSE => self.close(request),
            "/" if is_read(request) && self.board.mode() == "chat" => redirect("console/chat"),
            BOARD | LIVE => secured(pages::only_read()),
            "/console/" => redirect("../console"),
            path => match ASSETS.iter().find(|asset| asset.path == path) {
                Some(asset) => show(asset, request),
                None => plain(StatusCode::NOT_FOUND, self.directions()),
            },
        }
    }

    /// Whether the client may see connections, topics and rooms.
    fn shows<B>(&self, request: &Request<B>) -> bool {
        match self.access {
            Access::Any => self.is_known_host(request),
            Access::Local => is_local(request),
            Access::Off => false,
        }
    }

    /// Whether the host of the request can't be that of another site.
    fn is_known_host<B>(&self, request: &Request<B>) -> bool {
        hosts::asked(request).is_some_and(|host| self.hosts.knows(host))
    }

    fn unknown_host<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        plain(StatusCode::FORBIDDEN, hosts::refusal(hosts::asked(request)) + "\n")
    }

    fn not_found(&self) -> Response<Body> {
        plain(StatusCode::NOT_FOUND, self.directions()).map(Body::Left)
    }

    fn directions(&self) -> &'static str {
        match self.files {
            None => "Not found. The console is at /, and every path accepts WebSockets.\n",
            Some(_) => {
                "Not found. The console is at /console, and every path accepts WebSockets.\n"
            }
        }
    }

    /// The connections now.
    async fn list<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !self.shows(request) {
            return plain(
                StatusCode::FORBIDDEN,
                match self.access {
                    Access::Any => return self.unknown_host(request),
                    Access::Off => "The list of connections is off (--console off).\n",
                    _ => {
                        "The list of connections is for browsers on the server's machine, by localhost or \
                      a loopback address and without a proxy (--console any shows it to everybody).\n"
                    }
                },
            );
        }
        let order = match parameter(request.uri().query(), "sort") {
            None => Order::default(),
            Some(text) => match Order::read(&text) {
                Some(order) => order,
                None => return plain(StatusCode::BAD_REQUEST, "There is no such order (sort).\n"),
            },
        };
        let list = self.live.json(self.board.mode(), order).await;
        list.map_or_else(|| plain(StatusCode::INTERNAL_SERVER_ERROR, "No list.\n"), json)
    }

    fn close<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if *request.method() != Method::POST {
            return secured(pages::only_post());
        }
        let is_allowed = self.access != Access::Off && is_local(request);
        if !is_allowed || !is_from_console(request.headers()) {
            let text =
                "Connections are closed by the console of a browser on the server's machine.\n";
            return plain(StatusCode::FORBIDDEN, text);
        }
        let id = parameter(request.uri().query(), "id").and_then(|id| id.parse().ok());
        match id.map(|id| self.live.close(id)) {
            Some(true) => json(Bytes::from_static(b"{}")),
            Some(false) => plain(StatusCode::NOT_FOUND, "There is no such connection.\n"),
            None => plain(StatusCode::BAD_REQUEST, "The parameter id is not a number.\n"),
        }
    }
}

fn show<B>(asset: &Asset, request: &Request<B>) -> Response<Full<Bytes>> {
    if !is_read(request) {
        return secured(pages::only_read());
    }
    let tag = asset.tag();
    let mut response = Response::new(Full::from(asset.bytes));
    if is_known(request.headers(), &tag) == Some(true) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::default();
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

/// Data of now. A page of another origin can't read it, since nothing here says that it may.
fn json(text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    secure(headers);
    response
}

fn redirect(location: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(location));
    response
}

impl Asset {
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    secured(pages::plain(status, text))
}

fn secured(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    secure(response.headers_mut());
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
