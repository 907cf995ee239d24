//! What the responses of all pages have in common.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;

const TEXT: &str = "text/plain; charset=utf-8";

/// Whether a page is asked for, or its head.
pub(crate) fn is_read<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The response for this method. For `HEAD`, the body is left out and its length is kept: over HTTP/2,
/// hyper sends what it gets.
pub(crate) fn for_method<B: Body>(
    method: &Method,
    mut response: Response<B>,
    empty: impl FnOnce() -> B,
) -> Response<B> {
    if *method != Method::HEAD {
        return response;
    }
    // The length in a 304 is that of the page, which is not in this response.
    if response.status() != StatusCode::NOT_MODIFIED
        && let Some(length) = response.body().size_hint().exact()
    {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = empty();
    response
}

/// Whether the client has the version of this tag already (RFC 9110, section 13.1.2), or `None` if it
/// does not ask.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> Option<bool> {
    if !headers.contains_key(IF_NONE_MATCH) {
        return None;
    }
    let lines = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    Some(tags.any(|known| known.trim_start_matches("W/") == tag || known == "*"))
}

/// A response for a person.
pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}

/// The response for any other method than `GET` and `HEAD`.
pub(crate) fn only_read() -> Response<Full<Bytes>> {
    not_allowed("GET, HEAD", "Only GET and HEAD are allowed here.\n")
}

/// The response for any other method than `POST`.
pub(crate) fn only_post() -> Response<Full<Bytes>> {
    not_allowed("POST", "Only POST is allowed here.\n")
}

fn not_allowed(methods: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, text);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_of_those_that_the_client_has() {
        let known = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            is_known(&headers, "\"1\"")
        };
        for value in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
            assert_eq!(known(value), Some(true), "{value}");
        }
        assert_eq!(known("\"0\""), Some(false));
        assert_eq!(is_known(&HeaderMap::new(), "\"1\""), None);
    }

    #[test]
    fn the_response_to_head_has_the_length_and_no_body() {
        let of = |method, status| for_method(&method, plain(status, "four"), Full::default);
        let response = of(Method::HEAD, StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_LENGTH], "4");
        assert!(response.body().is_end_stream());
        let response = of(Method::HEAD, StatusCode::NOT_MODIFIED);
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        let response = of(Method::GET, StatusCode::OK);
        assert!(!response.body().is_end_stream());
    }
}
