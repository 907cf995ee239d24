//! The head of a request, and what a server answers.
//!
//! - It is read to the same end however much of it has come.
//! - Written out and read again, it is the same.
//! - The answer to an offer is one head, whatever the request said.

use http::Response;
use towline_proto::handshake::{
    Accept, HeadLimits, Mechanism, Offer, OriginPolicy, encode_request, encode_response,
    parse_request, parse_response,
};

pub fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let limits = if first & 1 == 0 {
        HeadLimits::default()
    } else {
        HeadLimits::default().max_head_size(300).max_headers(7)
    };
    let found = parse_request(bytes, &limits);
    let Ok(Some((request, len))) = found else {
        if let Err(rejection) = &found {
            answers(rejection.response(Mechanism::Http1Upgrade).map(|_| ()));
            let longer = [bytes, b"\r\n\r\n"].concat();
            assert!(parse_request(&longer, &limits).is_err(), "more bytes mended it");
        }
        return;
    };
    let step = 1 + usize::from(first >> 1);
    for cut in (0..len).rev().step_by(step) {
        assert!(matches!(parse_request(&bytes[..cut], &limits), Ok(None)), "after {cut} bytes");
    }

    let mut encoded = Vec::new();
    encode_request(&request, &mut encoded);
    let again = parse_request(&encoded, &HeadLimits::default().max_head_size(1 << 20));
    let (again, again_len) = again.expect("a head").expect("a whole one");
    assert_eq!(again_len, encoded.len());
    // A target that is no path is one that no handshake has.
    if let Some(path) = request.uri().path_and_query() {
        assert_eq!(again.uri().path_and_query(), Some(path));
    }
    assert_eq!(again.method(), request.method());
    assert_eq!(again.headers(), request.headers());

    let mechanism = Mechanism::of(&request);
    match Offer::from_request(&request) {
        Err(rejection) => answers(rejection.response(mechanism).map(|_| ())),
        Ok(offer) => {
            let mut accept = Accept::new();
            if let Some(first) = offer.protocols().first() {
                accept = accept.protocol(first.as_str());
            }
            match offer.accept(&accept, &OriginPolicy::Any) {
                Ok((response, _)) => answers(response),
                Err(error) => answers(error.rejection().response(mechanism).map(|_| ())),
            }
        }
    }
}

/// The response is one head, with the headers it is to have.
fn answers(response: Response<()>) {
    let mut encoded = Vec::new();
    encode_response(&response, &mut encoded);
    let found = parse_response(&encoded, &HeadLimits::default().max_head_size(1 << 20));
    let (again, len) = found.expect("a head").expect("a whole one");
    assert_eq!(len, encoded.len(), "more than a head");
    assert_eq!(again.status(), response.status());
    assert_eq!(again.headers(), response.headers());
}
