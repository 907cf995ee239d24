//! The opening handshake, on either side.

use std::hint::black_box;

use anyhow::{Context, Result};
use towline::OriginPolicy;
use towline_proto::handshake::{
    Accept, Connect, HeadLimits, Offer, encode_request, encode_response, parse_request,
    parse_response,
};

/// A request similar to that of browsers.
pub(crate) const REQUEST: &str = "GET /feed?room=7 HTTP/1.1\r\n\
     Host: example.com\r\n\
     Connection: Upgrade\r\n\
     Pragma: no-cache\r\n\
     Cache-Control: no-cache\r\n\
     User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
     Upgrade: websocket\r\n\
     Origin: http://example.com\r\n\
     Sec-WebSocket-Version: 13\r\n\
     Accept-Encoding: gzip, deflate\r\n\
     Accept-Language: en-US,en;q=0.9\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

pub(crate) fn server(times: usize) -> Result<()> {
    let mut wire = Vec::new();
    for _ in 0..times {
        let limits = HeadLimits::default();
        let head = parse_request(black_box(REQUEST.as_bytes()), &limits)?;
        let (request, _) = head.context("the request is not whole")?;
        let offer = Offer::from_request(&request)?;
        let (response, agreed) = offer.accept(&Accept::new(), &OriginPolicy::SameOrigin)?;
        wire.clear();
        encode_response(&response, &mut wire);
        black_box((&wire, agreed));
    }
    Ok(())
}

/// The response answers another key than the request's, which is new each time; only the server computes
/// the answer.
pub(crate) fn client(times: usize) -> Result<()> {
    let uri = "ws://example.com/feed?room=7".parse()?;
    let connect = Connect::new().protocols(["chat.v2"]);
    let answered = connect.open(&uri)?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Protocol: chat.v2\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        answered.key().accept()
    );
    let mut wire = Vec::new();
    for _ in 0..times {
        let opening = connect.open(black_box(&uri))?;
        wire.clear();
        encode_request(opening.request(), &mut wire);
        black_box((&wire, &opening));
        let head = parse_response(black_box(response.as_bytes()), &HeadLimits::default())?;
        let (response, _) = head.context("the response is not whole")?;
        black_box(answered.verify(&response)?);
    }
    Ok(())
}
