//! The compression that a handshake negotiates.

use towline_proto::handshake::{Accept, Connect, Offer, OriginPolicy};
use towline_proto::{Config, Negotiated};

/// Returns the compression that a client and a server with these configurations negotiate, for each.
///
/// # Panics
///
/// Panics if the handshake fails.
pub fn negotiate(client: &Config, server: &Config) -> [Option<Negotiated>; 2] {
    let uri = "ws://example.com/".parse().expect("a URI");
    let connect = Connect::new().compression(client.negotiable_compression());
    let opening = connect.open(&uri).expect("a request");
    let offer = Offer::from_request(opening.request()).expect("an offer");
    let accept = Accept::new().compression(server.negotiable_compression());
    let (response, at_server) = offer.accept(&accept, &OriginPolicy::Any).expect("an answer");
    let at_client = opening.verify(&response).expect("an answer that keeps to the offer");
    [at_client.compression, at_server.compression]
}
