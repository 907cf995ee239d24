//! The console: its pages, their data, and the responses for them.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::serve::assets::{self, Asset};
use crate::serve::board::Board;
use crate::serve::files::{Body, Files};
use crate::serve::hosts;
use crate::serve::live::{Live, Order};
use crate::serve::pages::{self, for_method, is_known, is_read};
use crate::serve::percent::parameter;
use crate::serve::visitor::{Refused, Visitors};

/// What the pages are allowed to do: run their own scripts and styles, show their icon, and connect to
/// any WebSocket.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const JSON: &str = "application/json";

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
    pub(crate) visitors: Visitors,
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
            Some(_) if !is_own && !self.visitors.is_known_host(request) => {
                return unknown_host(request).map(Body::Left);
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
            BOARD if is_read(request) => json(match self.visitors.admit(request) {
                Ok(()) => self.board.json(),
                Err(why) => self.board.only_mode(why == Refused::NoToken),
            }),
            CLOSE => self.close(request),
            "/" if is_read(request) && self.board.mode() == "chat" => redirect("console/chat"),
            BOARD | LIVE => secured(pages::only_read()),
            "/console/" => redirect("../console"),
            path => match assets::at(path) {
                Some(asset) => show(asset, request),
                None => plain(StatusCode::NOT_FOUND, self.directions()),
            },
        }
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
        if let Err(why) = self.visitors.admit(request) {
            return refused(
                why,
                request,
                "The list of connections is for browsers on the server's machine, by localhost or \
                 a loopback address and without a proxy (--console any shows it elsewhere, too).\n",
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
        if let Err(why) = self.visitors.admit_to_close(request) {
            let text =
                "Connections are closed by the console of a browser on the server's machine.\n";
            return refused(why, request, text);
        }
        let id = parameter(request.uri().query(), "id").and_then(|id| id.parse().ok());
        match id.map(|id| self.live.close(id)) {
            Some(true) => json(Bytes::from_static(b"{}")),
            Some(false) => plain(StatusCode::NOT_FOUND, "There is no such connection.\n"),
            None => plain(StatusCode::BAD_REQUEST, "The parameter id is not a number.\n"),
        }
    }
}

/// The response to a client that may not see the list, or not close a connection; `elsewhere` is for one
/// that may not since it is not on this machine.
fn refused<B>(
    why: Refused,
    request: &Request<B>,
    elsewhere: &'static str,
) -> Response<Full<Bytes>> {
    let text = match why {
        Refused::NoToken => return no_token(),
        Refused::UnknownHost => return unknown_host(request),
        Refused::Off => "The list of connections is off (--console off).\n",
        Refused::Elsewhere | Refused::Foreign => elsewhere,
    };
    plain(StatusCode::FORBIDDEN, text)
}

/// By this status, the page knows that a token helps.
fn no_token() -> Response<Full<Bytes>> {
    let text = "The list of connections needs the token that the server has printed, in the header \
                X-Towline-Console (--console-token).\n";
    let mut response = plain(StatusCode::UNAUTHORIZED, text);
    // RFC 9110, section 15.5.2, wants one. Browsers ask for a password only by schemes that they know.
    let scheme = HeaderValue::from_static("X-Towline-Console");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

fn unknown_host<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    plain(StatusCode::FORBIDDEN, hosts::refusal(hosts::asked(request)) + "\n")
}

fn show<B>(asset: &Asset, request: &Request<B>) -> Response<Full<Bytes>> {
    if !is_read(request) {
        return secured(pages::only_read());
    }
    let mut response = Response::new(Full::new(asset.bytes.clone()));
    if is_known(request.headers(), &asset.tag) == Some(true) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::default();
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&asset.tag) {
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

/// The browser keeps the fragment, which may have the token.
fn redirect(location: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(location));
    response
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
