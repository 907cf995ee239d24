//! A client and a server of any settings.
//!
//! Whatever the client asks for, the server's answer keeps to it, both agree on the same, and they
//! understand each other's messages.

use arbitrary::{Result, Unstructured};
use towline_kit::{Pair, event};
use towline_proto::handshake::{
    Accept, Connect, HeadLimits, Mechanism, Offer, OriginPolicy, Version, encode_response,
    parse_response,
};
use towline_proto::{Config, Message, Role};

use crate::settings;
use crate::wire::payload;

const NAMES: [&str; 4] = ["chat", "Chat.v2", "constructor", "__proto__"];

pub fn run(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let client = Config::client().compression(settings::deflate(input)?.map(Into::into));
    let server = Config::server().compression(settings::deflate(input)?.map(Into::into));
    let mechanism = *input.choose(&[Mechanism::Http1Upgrade, Mechanism::ExtendedConnect])?;
    let version = *input.choose(&[Version::Rfc6455, Version::Draft8])?;
    let offered: Vec<_> = NAMES.iter().filter(|_| input.arbitrary().unwrap_or(false)).collect();
    let connect = Connect::new()
        .mechanism(mechanism)
        .version(version)
        .protocols(offered.iter().map(|name| **name))
        .compression(client.negotiable_compression());
    let opening = connect.open(&"wss://example.com/".parse().expect("a URI"));
    let opening = match opening {
        Ok(opening) => opening,
        // Draft 8 knows no extended CONNECT.
        Err(error) => {
            assert!(version == Version::Draft8, "{error}");
            return Ok(());
        }
    };
    let offer = Offer::from_request(opening.request()).expect("an offer of our own");
    let mut accept = Accept::new().compression(server.negotiable_compression());
    if let Some(name) = offer.choose_protocol(NAMES) {
        accept = accept.protocol(name.as_str());
    }
    let (response, at_server) =
        offer.accept(&accept, &OriginPolicy::SameOrigin).expect("an answer");
    let response = if mechanism == Mechanism::Http1Upgrade {
        let mut encoded = Vec::new();
        encode_response(&response, &mut encoded);
        parse_response(&encoded, &HeadLimits::default()).expect("a head").expect("a whole one").0
    } else {
        response
    };
    let at_client = opening.verify(&response).expect("an answer that keeps to the offer");
    assert_eq!(at_client.protocol, at_server.protocol);
    assert_eq!(at_client.extensions, at_server.extensions);
    assert_eq!(at_client.version, at_server.version);

    let mut pair = Pair::new(&client, &server).in_chunks(settings::pieces(input)?);
    for _ in 0..4 {
        let bytes = payload(input)?;
        for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
            pair.session(from).send(Message::binary(bytes.clone())).expect("an open connection");
            pair.run();
            assert_eq!(pair.events(to), [event::binary(bytes.clone())]);
        }
    }
    Ok(())
}
