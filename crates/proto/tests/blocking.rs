//! What a host on blocking streams uses.

#![allow(clippy::unwrap_used)]

use std::io;
use std::time::Duration;

use towline_kit::event;
use towline_kit::frame;
use towline_proto::handshake::{HeadLimits, parse_request, read_head};
use towline_proto::{CloseCause, Config, Connection, Incoming, ReadBuffer, Role};

#[test]
fn a_long_payload_is_read_from_a_stream_straight_to_its_place() {
    let now = towline_kit::start();
    let mut connection = Connection::new(Role::Client, &Config::client(), now);
    let mut buffer = ReadBuffer::new();
    let bytes = frame().binary(vec![7; 300_000]).bytes();
    let mut stream = &bytes[..];
    let mut through_buffer = 0;
    let message = loop {
        match connection.poll(now, &mut buffer.input()) {
            Incoming::More => {}
            incoming => break incoming.into_owned(),
        }
        assert!(connection.read_from(&mut stream, &mut buffer).unwrap());
        through_buffer += buffer.unread().len();
    };
    assert_eq!(message, event::binary(vec![7; 300_000]));
    assert!(through_buffer < 100_000, "{through_buffer} bytes took the other way");
    assert!(!connection.read_from(&mut stream, &mut buffer).unwrap(), "the end");
    let closed = connection.session().closed().unwrap();
    assert_eq!(closed.cause(), CloseCause::TransportEnded);
}

/// A stream of which every second attempt is in vain.
struct Halting(bool, Vec<u8>);

impl Halting {
    fn halts(&mut self) -> io::Result<()> {
        self.0 = !self.0;
        if self.0 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl io::Read for Halting {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.halts()?;
        let count = self.1.len().min(bytes.len()).min(10);
        bytes[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}

impl io::Write for Halting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.halts()?;
        let count = bytes.len().min(10);
        self.1.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_that_is_not_ready_loses_nothing() {
    let now = towline_kit::start();
    let mut server = Connection::new(Role::Server, &Config::server(), now);
    let mut client = Connection::new(Role::Client, &Config::client(), now);
    let text = "ship ahoy, ".repeat(100);
    let mut stream = Halting(false, Vec::new());
    server.session().send(text.as_str()).unwrap();
    while server.write_to(now, &mut stream).is_err() {}
    let mut buffer = ReadBuffer::new();
    let (mut reads, mut in_vain) = (0, 0);
    let message = loop {
        match client.poll(now, &mut buffer.input()) {
            Incoming::More => reads += 1,
            incoming => break incoming.into_owned(),
        }
        in_vain += usize::from(client.read_from(&mut stream, &mut buffer).is_err());
    };
    assert_eq!(message, event::text(text));
    assert!(in_vain >= 100 && reads >= 2 * in_vain - 1, "{in_vain} of {reads}");
    assert!(client.session().is_open());
}

#[test]
fn a_stream_that_fails_ends_the_connection_with_what_it_says() {
    struct Failing;

    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    let now = towline_kit::start();
    let mut connection = Connection::new(Role::Client, &Config::client(), now);
    assert!(!connection.read_from(&mut Failing, &mut ReadBuffer::new()).unwrap());
    let closed = connection.session().closed().unwrap();
    assert_eq!(closed.cause(), CloseCause::TransportFailed(io::ErrorKind::ConnectionReset));
    assert_eq!(connection.read_timeout(now), None);
}

#[test]
fn a_read_waits_until_the_next_deadline_and_never_for_no_time() {
    let now = towline_kit::start();
    let connection = Connection::new(Role::Client, &Config::client(), now);
    assert_eq!(connection.read_timeout(now), Some(Duration::from_secs(20)));
    let late = now + Duration::from_secs(30);
    assert_eq!(connection.read_timeout(late), Some(Duration::from_millis(1)));
}

/// What it has said is no sign of life that lasts, whether it can be decoded or not.
#[test]
fn a_peer_that_said_the_beginning_of_a_frame_and_nothing_more_is_given_up() {
    let payload = [&[0x82, 126, 4, 0][..], &[7; 100]].concat();
    let beginnings: [&[u8]; 5] = [&[], &[0x82], &[0x82, 100, 1, 2, 3], &payload, &[2, 1, 7, 0x89]];
    for said in beginnings {
        let began = towline_kit::start();
        let mut now = began;
        let mut connection = Connection::new(Role::Client, &Config::client(), now);
        let mut buffer = ReadBuffer::new();
        let mut stream = Saying(said);
        for _ in 0..100 {
            let incoming = connection.poll(now, &mut buffer.input()).into_owned();
            if connection.session().closed().is_some() {
                break;
            }
            assert!(matches!(incoming, Incoming::More | Incoming::Frame(_)), "{incoming:?}");
            let _ = connection.write_to(now, &mut io::sink());
            if connection.read_from(&mut stream, &mut buffer).is_err() {
                now += connection.read_timeout(now).unwrap();
                connection.session().handle_timeout(now);
            }
        }
        let closed = connection.session().closed().expect("an end");
        assert_eq!(closed.cause(), CloseCause::PeerUnresponsive, "{said:?}");
        assert_eq!(now - began, Duration::from_secs(30), "{said:?}");
    }
}

/// Says this, and then nothing.
struct Saying<'b>(&'b [u8]);

impl io::Read for Saying<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(bytes) }
    }
}

#[test]
fn a_head_is_read_and_what_follows_it_is_left() {
    let limits = HeadLimits::default();
    let bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\x81\x00";
    let mut buffer = ReadBuffer::new();
    let request = read_head(&mut &bytes[..], &mut buffer, &limits, parse_request).unwrap();
    assert_eq!((request.uri().path(), buffer.unread()), ("/", &b"\x81\x00"[..]));
    for (bytes, kind) in
        [(&bytes[..20], io::ErrorKind::UnexpectedEof), (b"SSH-2.0\r\n", io::ErrorKind::InvalidData)]
    {
        let head = read_head(&mut &bytes[..], &mut ReadBuffer::new(), &limits, parse_request);
        assert_eq!(head.unwrap_err().kind(), kind);
    }
}

/// Also if what was read before is not decoded yet: a host that reads as long as there are bytes
/// would never come to an end.
#[test]
fn a_read_of_nothing_is_no_read_of_bytes_whatever_was_read_before() {
    let now = towline_kit::start();
    let mut connection = Connection::new(Role::Client, &Config::client(), now);
    let mut buffer = ReadBuffer::new();
    let bytes = frame().text("hi").bytes();
    let mut stream = &bytes[..];
    let mut reads = 0;
    while connection.read_from(&mut stream, &mut buffer).unwrap() {
        reads += 1;
        assert_eq!(reads, 1, "there is nothing more to read");
    }
    assert_eq!(buffer.unread(), bytes);
}

/// A stream that writes all slices at once, and counts how often.
#[derive(Default)]
struct Gathering(usize, Vec<u8>);

impl io::Write for Gathering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[io::IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0 += 1;
        let before = self.1.len();
        slices.iter().for_each(|slice| self.1.extend_from_slice(slice));
        Ok(self.1.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server does not mask, so a long payload stays where it is, and its header is beside it.
#[test]
fn headers_and_long_payloads_are_written_together() {
    let now = towline_kit::start();
    let mut connection = Connection::new(Role::Server, &Config::server(), now);
    for len in [16_000, 3, 16_001] {
        connection.session().send(vec![7; len]).unwrap();
    }
    let mut stream = Gathering::default();
    connection.write_to(now, &mut stream).unwrap();
    assert_eq!((stream.0, stream.1.len()), (1, 4 + 16_000 + 2 + 3 + 4 + 16_001));
}
