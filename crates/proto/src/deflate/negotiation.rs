//! The negotiation of the parameters (RFC 7692, section 7.1).
//!
//! | parameter | in an offer | in the answer |
//! | --- | --- | --- |
//! | `server_no_context_takeover` | the server must not refer to earlier messages | it does not |
//! | `client_no_context_takeover` | the client does not refer to earlier messages | it must not |
//! | `server_max_window_bits=N` | the server must not refer further back | it does not |
//! | `client_max_window_bits[=N]` | the client can be limited, and does not refer further back | the limit |

use crate::compression::{
    Compression, Deflating, Direction, Inflating, Method, Negotiated, Pairs, Params,
};
use crate::deflate::deflater::Deflater;
use crate::deflate::inflater::Inflater;
use crate::deflate::pool::Make;
use crate::deflate::window::{MAX_BITS, MIN_BITS};
use crate::role::Role;

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// permessage-deflate.
#[derive(Debug)]
pub(super) struct PermessageDeflate;

impl Negotiated {
    /// Returns the parameters of the direction that this end receives.
    pub(super) fn receive(&self) -> Direction {
        match self.role {
            Role::Server => self.client,
            Role::Client => self.server,
        }
    }
}

/// The parameters, each at most once and with a valid value.
#[derive(Debug, Default)]
struct Terms {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The value is optional.
    client_max_window_bits: Option<Option<u8>>,
}

impl Terms {
    fn read(pairs: Pairs<'_>) -> Result<Self, String> {
        let mut terms = Self::default();
        for (name, value) in pairs {
            let is_repeated = match *name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    no_value(name, *value)?;
                    std::mem::replace(&mut terms.server_no_context_takeover, true)
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    no_value(name, *value)?;
                    std::mem::replace(&mut terms.client_no_context_takeover, true)
                }
                SERVER_MAX_WINDOW_BITS => {
                    let bits = window_bits(name, *value)?;
                    terms.server_max_window_bits.replace(bits).is_some()
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let bits = value.map(|value| window_bits(name, Some(value))).transpose()?;
                    terms.client_max_window_bits.replace(bits).is_some()
                }
                _ => return Err(format!("{name} is not a known parameter")),
            };
            if is_repeated {
                return Err(format!("{name} is repeated"));
            }
        }
        Ok(terms)
    }
}

fn no_value(name: &str, value: Option<&str>) -> Result<(), String> {
    value.map_or(Ok(()), |value| Err(format!("{name} has the value {value}, but takes none")))
}

/// "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(name: &str, value: Option<&str>) -> Result<u8, String> {
    const VALUES: [&str; 8] = ["8", "9", "10", "11", "12", "13", "14", "15"];
    let Some(value) = value else { return Err(format!("{name} has no value")) };
    match (8..).zip(VALUES).find(|(_, bits)| *bits == value) {
        Some((bits, _)) => Ok(bits),
        None => Err(format!("{name} is {value}, not a number from 8 to 15")),
    }
}

fn narrower(one: Option<u8>, other: Option<u8>) -> Option<u8> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Method for PermessageDeflate {
    fn name(&self) -> &'static str {
        "permessage-deflate"
    }

    fn offers(&self, wanted: &Compression) -> Vec<Params> {
        let Compression { send, receive, fallback, .. } = wanted;
        let mut params = Params::new();
        if !receive.takeover {
            params.push((SERVER_NO_CONTEXT_TAKEOVER, None));
        }
        if !send.takeover {
            params.push((CLIENT_NO_CONTEXT_TAKEOVER, None));
        }
        // The width of the window costs this end nothing without context takeover.
        if receive.takeover && receive.window_bits.is_some() {
            params.push((SERVER_MAX_WINDOW_BITS, receive.window_bits));
        }
        // Always offered, because some servers support only narrow windows. The width of this end's
        // window is left out, because npm's `ws` answers 400 if it is below its own value.
        params.push((CLIENT_MAX_WINDOW_BITS, send.window_bits.filter(|_| !fallback)));
        // The server may not support the restrictions. Without restrictions there is no second
        // offer: libwebsockets refuses one.
        let asks = |(name, _): &(&str, _)| {
            matches!(*name, SERVER_NO_CONTEXT_TAKEOVER | SERVER_MAX_WINDOW_BITS)
        };
        if !fallback || !params.iter().any(asks) {
            return vec![params];
        }
        let wider = params.iter().copied().filter(|param| !asks(param)).collect();
        vec![params, wider, Params::new()]
    }

    fn answer(&self, wanted: &Compression, offered: Pairs<'_>) -> Option<Negotiated> {
        let offered = Terms::read(offered).ok()?;
        let Compression { level, threshold, send, receive, method, .. } = *wanted;
        // "a server MUST decline … [if] the server doesn't support the offered configuration": a
        // window of 256 bytes is too narrow for the engine.
        let server_bits = narrower(send.window_bits, offered.server_max_window_bits);
        if offered.server_max_window_bits.is_some_and(|bits| bits < MIN_BITS) {
            return None;
        }
        let mut client = Direction {
            takeover: receive.takeover && !offered.client_no_context_takeover,
            window_bits: None,
        };
        if client.takeover {
            let most = receive.window_bits.unwrap_or(MAX_BITS);
            match offered.client_max_window_bits {
                Some(bits) => {
                    let bits = bits.unwrap_or(MAX_BITS).min(most);
                    client.window_bits = (bits < MAX_BITS).then_some(bits);
                }
                // The client cannot be told to use a narrower window, but it can be told to use
                // none: that parameter is allowed in an answer even if it was not offered.
                None => client.takeover = most == MAX_BITS,
            }
        }
        let server = Direction {
            takeover: send.takeover && !offered.server_no_context_takeover,
            window_bits: server_bits,
        };
        Some(Negotiated {
            role: Role::Server,
            level,
            threshold,
            send_takeover: server.takeover,
            send_window_bits: server_bits.unwrap_or(MAX_BITS),
            server,
            client,
            method,
        })
    }

    fn accept(&self, wanted: &Compression, answered: Pairs<'_>) -> Result<Negotiated, String> {
        let Compression { level, threshold, send, receive, fallback, method } = *wanted;
        let answered = Terms::read(answered)?;
        let client_bits = match answered.client_max_window_bits {
            Some(None) => return Err(format!("{CLIENT_MAX_WINDOW_BITS} has no value")),
            bits => bits.flatten(),
        };
        let server = Direction {
            takeover: !answered.server_no_context_takeover,
            window_bits: answered.server_max_window_bits,
        };
        // "a server accepting [it] MUST include it in the response". The fallback has no
        // restrictions.
        if !fallback && server.takeover && !receive.takeover {
            return Err(format!("{SERVER_NO_CONTEXT_TAKEOVER} was offered but is missing"));
        }
        if !fallback
            && receive.takeover
            && let Some(most) = receive.window_bits
            && server.window_bits.unwrap_or(MAX_BITS) > most
        {
            return Err(match server.window_bits {
                Some(bits) => {
                    format!("{SERVER_MAX_WINDOW_BITS} is {bits}, but was limited to {most}")
                }
                None => format!("{SERVER_MAX_WINDOW_BITS}={most} was offered but is missing"),
            });
        }
        // "… with a value equal to or smaller than the received value", if there was one.
        if !fallback
            && let (Some(bits), Some(most)) = (client_bits, send.window_bits)
            && bits > most
        {
            return Err(format!("{CLIENT_MAX_WINDOW_BITS} is {bits}, but was offered as {most}"));
        }
        let client =
            Direction { takeover: !answered.client_no_context_takeover, window_bits: client_bits };
        Ok(Negotiated {
            role: Role::Client,
            level,
            threshold,
            // The server need not repeat this end's own restriction.
            send_takeover: send.takeover && client.takeover,
            send_window_bits: narrower(send.window_bits, client_bits).unwrap_or(MAX_BITS),
            server,
            client,
            method,
        })
    }

    fn params(&self, negotiated: &Negotiated) -> Params {
        let Negotiated { server, client, .. } = negotiated;
        let mut params = Params::new();
        if !server.takeover {
            params.push((SERVER_NO_CONTEXT_TAKEOVER, None));
        }
        if !client.takeover {
            params.push((CLIENT_NO_CONTEXT_TAKEOVER, None));
        }
        if server.window_bits.is_some() {
            params.push((SERVER_MAX_WINDOW_BITS, server.window_bits));
        }
        if client.window_bits.is_some() {
            params.push((CLIENT_MAX_WINDOW_BITS, client.window_bits));
        }
        params
    }

    fn inflating(&self, negotiated: &Negotiated) -> Box<dyn Inflating> {
        let Direction { takeover, window_bits } = negotiated.receive();
        Box::new(Inflater::new(takeover, window_bits))
    }

    fn deflating(&self, negotiated: &Negotiated) -> Option<Box<dyn Deflating>> {
        let Negotiated { level, threshold, send_takeover, send_window_bits: window_bits, .. } =
            *negotiated;
        // A server may limit a client to 8. The client may then send everything uncompressed.
        if window_bits < MIN_BITS {
            return None;
        }
        let make = Make { level, window_bits };
        Some(Box::new(Deflater::new(make, threshold, send_takeover)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;
    use crate::deflate::settings::Deflate;
    use crate::handshake::{Accept, Agreed, Connect, HandshakeError, Offer, OriginPolicy};
    use crate::outbound::Outbound;
    use crate::refused::Refused;
    use crate::wire::frame::Frame;
    use crate::wire::header::Rsv;
    use http::{Request, Response, header};
    use proptest::prelude::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn offer(extensions: &str) -> Offer {
        let request = Request::get("/")
            .header(header::HOST, "example.com")
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "Upgrade")
            .header(header::SEC_WEBSOCKET_KEY, KEY)
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_EXTENSIONS, extensions)
            .body(())
            .unwrap();
        Offer::from_request(&request).unwrap()
    }

    /// What a server answers to these extensions, and what it agreed on by that.
    fn answer(deflate: Deflate, extensions: &str) -> (String, Agreed) {
        let accept = Accept::new().compression(deflate);
        let (response, agreed) = offer(extensions).accept(&accept, &OriginPolicy::Any).unwrap();
        let line = response.headers().get(header::SEC_WEBSOCKET_EXTENSIONS);
        (line.map_or("", |line| line.to_str().unwrap()).to_owned(), agreed)
    }

    /// What a client with these settings makes of this answer.
    fn accepts(deflate: Deflate, extensions: &str) -> Result<Negotiated, HandshakeError> {
        let connect = Connect::new().compression(deflate);
        let opening = connect.open(&"ws://example.com/".parse().unwrap()).unwrap();
        let response = Response::builder()
            .status(101)
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "Upgrade")
            .header(header::SEC_WEBSOCKET_ACCEPT, opening.key().accept())
            .header(header::SEC_WEBSOCKET_EXTENSIONS, extensions)
            .body(())
            .unwrap();
        opening.verify(&response).map(|agreed| agreed.compression.unwrap())
    }

    fn offered(deflate: Deflate) -> String {
        let connect = Connect::new().compression(deflate);
        let opening = connect.open(&"ws://example.com/".parse().unwrap()).unwrap();
        opening.request().headers()[header::SEC_WEBSOCKET_EXTENSIONS].to_str().unwrap().to_owned()
    }

    /// A server that leaves to the client what it can.
    fn generous() -> Deflate {
        Deflate::server().send_context_takeover(true).receive_context_takeover(true)
    }

    #[test]
    fn a_server_answers_each_parameter() {
        for (offered, answered) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            (
                "permessage-deflate; client_max_window_bits=9",
                "permessage-deflate; client_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "permessage-deflate; client_no_context_takeover",
                "permessage-deflate; client_no_context_takeover",
            ),
            (
                "permessage-deflate; server_max_window_bits=9",
                "permessage-deflate; server_max_window_bits=9",
            ),
            (
                r#"permessage-deflate; server_max_window_bits="15"; client_max_window_bits"#,
                "permessage-deflate; server_max_window_bits=15",
            ),
        ] {
            let (answer, agreed) = answer(generous(), offered);
            assert_eq!(answer, answered, "{offered}");
            assert_eq!(agreed.extensions, [agreed.compression.unwrap().extension()]);
        }
    }

    #[test]
    fn a_server_is_small_in_memory_by_default() {
        let (answer, agreed) =
            answer(Deflate::server(), "permessage-deflate; client_max_window_bits");
        assert_eq!(
            answer,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        );
        let agreed = agreed.compression.unwrap();
        assert!(!agreed.send_takeover && !agreed.receive().takeover);
    }

    #[test]
    fn an_offer_that_can_not_be_met_is_declined_and_the_next_one_taken() {
        for declined in [
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=\"09\"",
            "permessage-deflate; client_max_window_bits=1e1",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=15",
            "permessage-deflate; constructor",
            "permessage-deflate; __proto__=1",
            "permessage-deflate; Server_No_Context_Takeover",
            "x-webkit-deflate-frame",
            "constructor",
            "hasOwnProperty; client_max_window_bits",
        ] {
            let (alone, agreed) = answer(generous(), declined);
            assert_eq!((alone.as_str(), agreed), ("", Agreed::default()), "{declined}");
            let both = format!("{declined}, permessage-deflate; client_max_window_bits=10");
            let answered = "permessage-deflate; client_max_window_bits=10";
            assert_eq!(answer(generous(), &both).0, answered, "{declined}");
        }
        let (first, _) = answer(
            generous(),
            "permessage-deflate; client_no_context_takeover, permessage-deflate",
        );
        assert_eq!(first, "permessage-deflate; client_no_context_takeover");
    }

    #[test]
    fn nothing_is_negotiated_unless_asked_for() {
        let offer = offer("permessage-deflate");
        let (response, agreed) = offer.accept(&Accept::new(), &OriginPolicy::Any).unwrap();
        assert!(!response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
        assert_eq!(agreed.compression, None);
        let opening = Connect::new().open(&"ws://example.com/".parse().unwrap()).unwrap();
        assert!(!opening.request().headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
    }

    #[test]
    fn a_server_bounds_the_clients_window_or_does_without_its_context() {
        let bounded = generous().receive_window_bits(11);
        for (offered, answered) in [
            ("client_max_window_bits", "permessage-deflate; client_max_window_bits=11"),
            ("client_max_window_bits=12", "permessage-deflate; client_max_window_bits=11"),
            ("client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
            ("client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
            (
                "server_max_window_bits=15",
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
            ),
        ] {
            let offered = format!("permessage-deflate; {offered}");
            assert_eq!(answer(bounded, &offered).0, answered, "{offered}");
        }
        let narrow = generous().send_window_bits(10);
        let (answer, agreed) = answer(narrow, "permessage-deflate; server_max_window_bits=12");
        assert_eq!(answer, "permessage-deflate; server_max_window_bits=10");
        assert_eq!(agreed.compression.unwrap().send_window_bits, 10);
    }

    #[test]
    fn a_client_offers_what_it_is_set_to() {
        let insisting = |deflate: Deflate| offered(deflate.fallback(false));
        assert_eq!(
            insisting(Deflate::server()),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits"
        );
        assert_eq!(insisting(Deflate::client()), "permessage-deflate; client_max_window_bits=12");
        assert_eq!(
            insisting(Deflate::client().send_window_bits(15).receive_window_bits(3)),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits"
        );
    }

    #[test]
    fn a_client_that_asks_for_narrow_falls_back_to_wide_in_the_same_header() {
        // What asks the server for nothing is offered once.
        assert_eq!(offered(Deflate::client()), "permessage-deflate; client_max_window_bits");
        assert_eq!(offered(generous()), "permessage-deflate; client_max_window_bits");
        for (deflate, narrow, wide) in [
            (
                Deflate::client().receive_window_bits(10),
                "server_max_window_bits=10; client_max_window_bits",
                "client_max_window_bits",
            ),
            (
                Deflate::client().receive_context_takeover(false).send_window_bits(15),
                "server_no_context_takeover; client_max_window_bits",
                "client_max_window_bits",
            ),
            (
                Deflate::server(),
                "server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
                "client_no_context_takeover; client_max_window_bits",
            ),
        ] {
            assert_eq!(
                offered(deflate),
                format!(
                    "permessage-deflate; {narrow}, permessage-deflate; {wide}, permessage-deflate"
                )
            );
        }
    }

    #[test]
    fn what_a_fallback_agrees_on_is_what_is_received_by() {
        let narrow = Deflate::client().receive_window_bits(10);
        for (answered, bits) in [("", None), ("; server_max_window_bits=13", Some(13))] {
            let agreed = accepts(narrow, &format!("permessage-deflate{answered}")).unwrap();
            assert_eq!(agreed.receive(), Direction { takeover: true, window_bits: bits });
            let strict = accepts(narrow.fallback(false), &format!("permessage-deflate{answered}"));
            assert!(matches!(strict, Err(HandshakeError::ExtensionAnswer { .. })), "{strict:?}");
        }
        let agreed = accepts(Deflate::server(), "permessage-deflate").unwrap();
        assert_eq!(agreed.receive(), Direction { takeover: true, window_bits: None });
        // What this end sends stays as it is set.
        assert!(!agreed.send_takeover);
        // A server may tell more than this end uses, and is sent no more than that.
        let wide = "permessage-deflate; client_max_window_bits=13";
        for deflate in [narrow, narrow.receive_window_bits(15)] {
            assert_eq!(accepts(deflate, wide).unwrap().send_window_bits, 12);
        }
    }

    /// What npm's `ws` 8 answers where it has `serverMaxWindowBits` or `clientMaxWindowBits`: its own
    /// value, to the first offer that has no smaller one, or 400.
    #[test]
    fn a_server_of_one_width_is_agreed_with() {
        for ours in 9..=15 {
            for its in 9..=15_u8 {
                let deflate = Deflate::client().send_window_bits(ours);
                let offers = crate::handshake::parse_extension_list(offered(deflate)).unwrap();
                let taken = offers.iter().find(|offer| {
                    let terms = Terms::read(&offer.pairs()).unwrap();
                    terms.client_max_window_bits.is_some_and(|most| its <= most.unwrap_or(MAX_BITS))
                });
                assert!(taken.is_some(), "{ours} {its}");
                let answer = format!("permessage-deflate; client_max_window_bits={its}");
                assert_eq!(accepts(deflate, &answer).unwrap().send_window_bits, its.min(ours));

                let deflate = Deflate::client().receive_window_bits(ours);
                let offers = crate::handshake::parse_extension_list(offered(deflate)).unwrap();
                let taken = offers.iter().find(|offer| {
                    let terms = Terms::read(&offer.pairs()).unwrap();
                    terms.server_max_window_bits.is_none_or(|most| its <= most)
                });
                assert!(taken.is_some(), "{ours} {its}");
                let answer = format!("permessage-deflate; server_max_window_bits={its}");
                assert_eq!(accepts(deflate, &answer).unwrap().receive().window_bits, Some(its));
            }
        }
    }

    #[test]
    fn an_answer_that_keeps_to_the_offer_is_accepted() {
        let agreed = accepts(generous(), "permessage-deflate").unwrap();
        assert!(agreed.send_takeover && agreed.receive().takeover);
        assert_eq!(agreed.send_window_bits, 15);
        let narrow = "permessage-deflate; client_max_window_bits=\"10\"; server_max_window_bits=8; \
                      client_no_context_takeover; server_no_context_takeover";
        let agreed = accepts(generous(), narrow).unwrap();
        assert!(!agreed.send_takeover && !agreed.receive().takeover);
        assert_eq!((agreed.send_window_bits, agreed.receive().window_bits), (10, Some(8)));
        assert!(agreed.method.deflating(&agreed).is_some());
    }

    #[test]
    fn a_client_that_keeps_no_context_need_not_be_told_so() {
        let small = generous().send_context_takeover(false);
        let agreed = accepts(small, "permessage-deflate").unwrap();
        assert!(!agreed.send_takeover);
        assert_eq!(agreed.extension().to_string(), "permessage-deflate");
    }

    #[test]
    fn a_client_told_to_use_a_window_that_it_can_not_sends_all_as_it_is() {
        let agreed = accepts(generous(), "permessage-deflate; client_max_window_bits=8").unwrap();
        assert!(agreed.method.deflating(&agreed).is_none());
        // The server inflates what has RSV1 all the same.
        let mut outbound =
            Outbound::new(Role::Client, &Config::client()).with_compression(Some(&agreed));
        let error = outbound.frame(Frame::text("x").rsv(Rsv::RSV1)).unwrap_err();
        assert_eq!(error.why(), Refused::CompressedByHand);
    }

    #[test]
    fn an_answer_that_breaks_the_offer_fails_the_handshake_with_the_reason() {
        let bounded = Deflate::client().receive_window_bits(12).fallback(false);
        for (deflate, answered, reason) in [
            (generous(), "; constructor", "constructor is not a known parameter"),
            (generous(), "; client_max_window_bits", "client_max_window_bits has no value"),
            (
                generous(),
                "; client_max_window_bits=16",
                "client_max_window_bits is 16, not a number from 8 to 15",
            ),
            (
                generous(),
                "; server_no_context_takeover=0",
                "server_no_context_takeover has the value 0, but takes none",
            ),
            (
                generous(),
                "; server_max_window_bits=9; server_max_window_bits=9",
                "server_max_window_bits is repeated",
            ),
            (
                Deflate::server().fallback(false),
                "; client_no_context_takeover",
                "server_no_context_takeover was offered but is missing",
            ),
            (bounded, "", "server_max_window_bits=12 was offered but is missing"),
            (
                bounded,
                "; server_max_window_bits=13",
                "server_max_window_bits is 13, but was limited to 12",
            ),
            (
                Deflate::client().fallback(false),
                "; client_max_window_bits=13",
                "client_max_window_bits is 13, but was offered as 12",
            ),
            (generous(), ", permessage-deflate", "the extension is repeated"),
        ] {
            let error = accepts(deflate, &format!("permessage-deflate{answered}")).unwrap_err();
            let error = error.to_string();
            assert!(error.ends_with(&format!("does not answer the offer: {reason}")), "{error}");
        }
        let error = accepts(generous(), "permessage-deflate, mux").unwrap_err();
        assert!(error.to_string().ends_with("\"mux\" was not offered"), "{error}");
    }

    fn settings() -> impl Strategy<Value = Deflate> {
        (any::<[bool; 3]>(), 9u8..=15, 9u8..=15).prop_map(|(takeover, send, receive)| {
            Deflate::server()
                .fallback(takeover[2])
                .send_context_takeover(takeover[0])
                .receive_context_takeover(takeover[1])
                .send_window_bits(send)
                .receive_window_bits(receive)
        })
    }

    proptest! {
        #[test]
        fn a_client_accepts_what_a_server_makes_of_its_offer(
            client in settings(),
            server in settings(),
        ) {
            let (answer, at_server) = answer(server, &offered(client));
            let at_server = at_server.compression.unwrap();
            let at_client = accepts(client, &answer).unwrap();
            prop_assert_eq!(at_client.extension(), at_server.extension());
            // What one sends, the other has the window for.
            let held = at_server.receive().window_bits.unwrap_or(MAX_BITS);
            let is_covered = at_server.receive().takeover && at_client.send_window_bits <= held;
            prop_assert!(!at_client.send_takeover || is_covered);
            let held = at_client.receive().window_bits.unwrap_or(MAX_BITS);
            let is_covered = at_client.receive().takeover && at_server.send_window_bits <= held;
            prop_assert!(!at_server.send_takeover || is_covered);
        }

        #[test]
        fn no_offer_and_no_answer_does_harm(
            server in settings(),
            params in "[; ](server|client)_(no_context_takeover|max_window_bits)(=[0-9]{1,3})?{0,6}",
        ) {
            let line = format!("permessage-deflate{params}");
            if let Ok(request) = Request::get("/").header("sec-websocket-extensions", &line).body(())
                && let Ok(all) = crate::handshake::parse_extensions(request.headers())
            {
                let compression = Compression::from(server);
                for extension in all {
                    let _ = PermessageDeflate.answer(&compression, &extension.pairs());
                    let _ = PermessageDeflate.accept(&compression, &extension.pairs());
                }
            }
        }
    }
}
