//! `Debug` of what may be long: its length and its beginning, never all of it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Debug;

use bytes::Bytes;
use towline_proto::{
    Broadcast, Config, Connection, Frame, Incoming, Input, Message, MessageRef, Outgoing,
    ReadBuffer, Refused, Role, SendError, Session,
};

/// What the core is not allowed to ask for.
#[allow(clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

const LONG: usize = 1 << 20;

/// Far below what is in there, and enough for whatever else there is to say.
fn is_short(what: &dyn Debug) -> String {
    let shown = format!("{what:?}");
    assert!(shown.len() < 4096, "{} bytes: {}…", shown.len(), &shown[..100]);
    assert!(format!("{what:#?}").len() < 8192);
    shown
}

#[test]
fn nothing_shows_a_long_payload_whole() {
    let bytes = vec![7; LONG];
    let text = "é".repeat(LONG / 2);
    let (binary, words) = (Message::from(bytes.clone()), Message::from(text.clone()));
    for message in [&binary, &words] {
        let shown = [
            is_short(message),
            is_short(&MessageRef::from(message)),
            is_short(&Outgoing::from(message)),
            is_short(&Outgoing::from(message.clone())),
            is_short(&Broadcast::new(message.clone())),
            is_short(&Incoming::from(MessageRef::from(message))),
            is_short(&SendError::new(Refused::Closing, message.clone())),
        ];
        for shown in shown {
            assert!(shown.contains("(1048576 bytes: "), "{shown}");
        }
    }
    for frame in [Frame::binary(bytes.clone()), Frame::text(text)] {
        assert!(is_short(&frame).contains("payload: 1048576 bytes: "));
        is_short(&Incoming::Frame(frame));
    }
    is_short(&Incoming::Ping(Bytes::from(bytes.clone())));
    is_short(&Input::new(&mut bytes.clone()));
}

#[test]
fn what_is_short_is_shown_whole() {
    assert_eq!(format!("{:?}", Message::text("ship ahoy")), r#"Text("ship ahoy")"#);
    assert_eq!(format!("{:?}", Message::from([0, 1, 2])), "Binary(3 bytes: 00 01 02)");
    assert_eq!(format!("{:?}", Message::from([0; 0])), "Binary(0 bytes)");
    let frame = Frame::text("Hel").fin(false);
    assert!(format!("{frame:?}").ends_with("payload: 3 bytes: 48 65 6c }"), "{frame:?}");
}

/// Neither what waits in a buffer nor what is queued.
#[test]
fn nothing_that_holds_payloads_shows_them_whole() {
    let mut buffer = ReadBuffer::default();
    while buffer.has_room() {
        buffer.read_from(&mut &vec![7; 4096][..]).unwrap();
    }
    is_short(&buffer);
    let mut session = Session::new(Role::Server, &Config::server(), now());
    session.send(Message::from(vec![7; LONG])).unwrap();
    is_short(&session);
    let mut connection = Connection::new(Role::Server, &Config::server(), now());
    connection.session().send(Message::from(vec![7; LONG])).unwrap();
    is_short(&connection);
}
