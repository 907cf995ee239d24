//! A message that is read while it arrives.

use std::future::poll_fn;
use std::io::{self, ErrorKind as Io};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncBufRead as _, AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::time::sleep;
use towline::{Config, Error, ErrorKind, Keepalive, Message, MessageKind, Opcode, Role};
use towline_kit::{FrameBytes, frame};

use crate::choppy::choppy_pair;
use crate::endless::{Bystander, Endless};
use crate::wire::{connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn config() -> Config {
    Config::server().keepalive(None::<Keepalive>)
}

fn own(error: &io::Error) -> Option<ErrorKind> {
    error.get_ref().and_then(|own| own.downcast_ref::<Error>()).map(Error::kind)
}

/// The first bytes of a frame that announces more.
fn begun(frame: FrameBytes, payload: &str, len: u64) -> FrameBytes {
    frame.payload(payload).announcing(len)
}

#[tokio::test(start_paused = true)]
async fn a_message_is_read_while_it_arrives_and_pings_in_between_are_answered() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &config());
        far.says(begun(frame().text(""), "", 9).fin(false));
        let mut reader = connection.recv_reader().await.unwrap().unwrap();
        assert_eq!((reader.kind(), reader.is_at_end()), (MessageKind::Text, false));
        far.says_bytes(masked(far.role(), b"ship ahoy", 0));
        let mut read = [0; 9];
        reader.read_exact(&mut read).await.unwrap();
        assert_eq!(read, *b"ship ahoy");
        far.says_all([frame().ping("?"), frame().continuation("!"), frame().binary("next")]);
        assert_eq!(reader.read(&mut read).await.unwrap(), 1);
        assert!(reader.is_at_end());
        assert_eq!(reader.read(&mut read).await.unwrap(), 0);
        assert_eq!(reader.fill_buf().await.unwrap(), b"");
        drop(reader);
        settle().await;
        assert_eq!(far.hears()[0].opcode(), Opcode::Pong);
        assert_eq!(connection.recv().await.unwrap(), Some(Message::binary("next")));
        far.says(frame().close(1000, ""));
        assert!(connection.recv_reader().await.unwrap().is_none());
    }
}

/// Payload as its sender puts it on the wire, behind so many bytes of the frame.
fn masked(sender: Role, payload: &[u8], behind: usize) -> Vec<u8> {
    let bytes = frame().payload([&vec![0; behind][..], payload].concat()).by(sender).bytes();
    bytes[bytes.len() - payload.len()..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn one_frame_of_many_gigabytes_is_read_though_the_limit_is_ten_bytes() {
    let config = config().max_received_message_size(10).max_received_frame_size(10);
    for role in BOTH {
        let (mut connection, far) = connect(role, &config);
        far.says(begun(frame().binary(""), "", 4 << 30));
        let mut reader = connection.recv_reader().await.unwrap().unwrap();
        let mut read = vec![0; 1 << 20];
        for round in 0..4 {
            far.says_bytes(masked(far.role(), &vec![round; 1 << 20], 0));
            reader.read_exact(&mut read).await.unwrap();
            assert!(read.iter().all(|byte| *byte == round));
        }
        far.ends();
        let error = reader.read(&mut read).await.unwrap_err();
        assert_eq!(
            (error.kind(), own(&error)),
            (Io::UnexpectedEof, Some(ErrorKind::ConnectionLost))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_dropped_or_forgotten_skips_the_rest() {
    for role in BOTH {
        for how in 0..4 {
            let (mut connection, far) = connect(role, &config());
            far.says_all([frame().text("ship").fin(false), frame().continuation(" a").fin(false)]);
            {
                let mut reader = connection.recv_reader().await.unwrap().unwrap();
                match how {
                    0 => drop(reader),
                    1 => std::mem::forget(reader),
                    2 => assert_eq!(reader.read(&mut [0; 2]).await.unwrap(), 2),
                    _ => {
                        reader.read_exact(&mut [0; 6]).await.unwrap();
                        let mut read = pin!(async { reader.read(&mut [0]).await });
                        let polled = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                        assert!(polled.is_pending());
                    }
                }
            }
            far.says_all([
                frame().ping("?"),
                frame().continuation("ho").fin(false),
                frame().continuation(""),
                frame().binary("next"),
                frame().text("last"),
            ]);
            match how % 2 {
                0 => {
                    let message = connection.recv().await.unwrap();
                    assert_eq!(message, Some(Message::binary("next")));
                }
                _ => {
                    let mut reader = connection.recv_reader().await.unwrap().unwrap();
                    let mut read = Vec::new();
                    reader.read_to_end(&mut read).await.unwrap();
                    assert_eq!((reader.kind(), &read[..]), (MessageKind::Binary, &b"next"[..]));
                }
            }
            let (_sender, mut receiver) = connection.split();
            assert_eq!(receiver.recv_ref().await.unwrap().unwrap().as_text(), Some("last"));
            settle().await;
            assert_eq!(far.hears().len(), 1, "the pong");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_received_before_recv_was_dropped_is_read() {
    for role in BOTH {
        // Also of a payload that is read straight to its place.
        for len in [10, 300_000] {
            let text = "é".repeat(len);
            let (mut connection, far) = connect(role, &Config::client());
            let bytes = frame().text(&text).by(far.role()).bytes();
            let cut = (bytes.len() * 2 / 3) | 1;
            far.says_bytes(bytes[..cut].to_vec());
            {
                let mut recv = pin!(connection.recv());
                for _ in 0..5 {
                    assert!(poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await.is_pending());
                    settle().await;
                }
            }
            let mut reader = connection.recv_reader().await.unwrap().unwrap();
            far.says_bytes(bytes[cut..].to_vec());
            let mut read = String::new();
            reader.read_to_string(&mut read).await.unwrap();
            assert!(read == text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_above_its_limit_closes_with_1009() {
    for role in BOTH {
        for first in [vec![7; 11], vec![7; 4]] {
            let (mut connection, far) = connect(role, &config());
            far.says_all([
                frame().binary(&first).fin(false),
                frame().continuation([7; 7]).fin(false),
            ]);
            let reader = connection.recv_reader().await.unwrap().unwrap();
            let mut reader = reader.max_size(10);
            let mut read = Vec::new();
            for _ in 0..2 {
                let error = reader.read_to_end(&mut read).await.unwrap_err();
                let kinds = (error.kind(), own(&error));
                assert_eq!(kinds, (Io::InvalidData, Some(ErrorKind::LimitExceeded)));
                assert!(error.to_string().contains("10 bytes (max_size"), "{error}");
                assert_eq!(read.len(), first.len() % 11);
            }
            drop(reader);
            assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
            settle().await;
            assert_eq!(far.hears().last().unwrap().close().code().get(), 1009);
        }
        // As many bytes as are allowed are no more than that.
        let (mut connection, far) = connect(role, &config());
        far.says_all([frame().binary([7; 10])]);
        let reader = connection.recv_reader().await.unwrap().unwrap();
        assert_eq!(reader.max_size(10).read_to_end(&mut Vec::new()).await.unwrap(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_in_the_middle_is_an_error_of_the_reader() {
    for role in BOTH {
        for (says, io, kind) in [
            (frame().close(1000, ""), Io::UnexpectedEof, None),
            (frame().close(1011, "oh"), Io::ConnectionAborted, Some(ErrorKind::ClosedByPeer)),
            (frame().continuation(b"\xFF"), Io::InvalidData, Some(ErrorKind::PeerViolation)),
            (frame().text("?"), Io::InvalidData, Some(ErrorKind::PeerViolation)),
        ] {
            let (mut connection, far) = connect(role, &config());
            far.says_all([frame().text("ship").fin(false), says]);
            let mut reader = connection.recv_reader().await.unwrap().unwrap();
            let mut read = Vec::new();
            for _ in 0..2 {
                let error = reader.read_to_end(&mut read).await.unwrap_err();
                assert_eq!((error.kind(), own(&error), read.len()), (io, kind, 4), "{error}");
            }
        }
    }
}

/// What lies unread in the middle of a frame is no ping, whatever it looks like.
#[tokio::test(start_paused = true)]
async fn payload_that_looks_like_a_ping_is_not_answered() {
    for role in BOTH {
        let (mut connection, far) = connect(role, &config());
        let ping = frame().ping("no ping").by(far.role()).bytes();
        far.says(begun(frame().binary(""), "some", 4 + 3 * ping.len() as u64));
        let mut reader = connection.recv_reader().await.unwrap().unwrap();
        assert_eq!(reader.read(&mut [0; 100]).await.unwrap(), 4);
        for _ in 0..3 {
            far.says_bytes(ping.clone());
            sleep(Duration::from_secs(20)).await;
        }
        assert_eq!(far.hears(), []);
        drop(reader);
        drop(connection);
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_a_message_without_an_end_lets_others_run() {
    for (payload, bound) in [(vec![7; 1000], 8 << 20), (Vec::new(), 256 << 10)] {
        let first = frame().binary("").fin(false).bytes();
        let endless = Endless::new(first, frame().continuation(payload).fin(false).bytes());
        let read = endless.read.clone();
        let config = config();
        let connection =
            towline::Connection::from_stream(endless, Role::Client, &config, [].as_slice().into());
        let bystander = Bystander::of(&read);
        let reading = tokio::spawn(async move {
            let (_sender, mut receiver) = connection.split();
            let mut reader = receiver.recv_reader().await.unwrap().unwrap();
            loop {
                let count = reader.fill_buf().await.unwrap().len();
                Pin::new(&mut reader).consume(count);
            }
        });
        while read.get() < 2 * bound {
            tokio::task::yield_now().await;
        }
        reading.abort();
        let most = bystander.most().await;
        assert!(most <= bound, "{most} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the transport does, and whichever reads are dropped.
    #[test]
    fn each_message_is_read_whole_or_up_to_where_its_reader_was_dropped(
        messages in prop::collection::vec((any::<bool>(), 0usize..5000, 0usize..9000), 1..8),
        pipe in 30usize..5000,
        schedule in prop::collection::vec(prop_oneof![1 => Just(0u16), 3 => 1u16..3000], 2..9),
        steps in prop::collection::vec(1usize..300, 1..9),
    ) {
        prop_assume!(schedule.iter().any(|budget| *budget > 0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = config().fragmentation_threshold(1000.try_into().unwrap());
            let (server, mut client) = choppy_pair(&config, pipe, &schedule);
            let all: Vec<_> = messages
                .iter()
                .map(|(is_text, len, _)| match is_text {
                    true => Message::text("ahoy".repeat(len / 4)),
                    false => Message::binary(vec![9; *len]),
                })
                .collect();
            let sent = all.clone();
            let sending = tokio::spawn(async move {
                for message in sent {
                    server.send(message).await.unwrap();
                }
                server
            });
            let mut steps = steps.iter().cycle();
            for (message, (_, _, most)) in all.iter().zip(messages) {
                let mut reader = client.recv_reader().await.unwrap().unwrap();
                assert_eq!(reader.kind() == MessageKind::Text, message.is_text());
                let mut read = Vec::new();
                while read.len() < most {
                    let step = *steps.next().unwrap();
                    let mut buffer = vec![0; step];
                    // Every other read is dropped after one poll.
                    let mut reading = pin!(reader.read(&mut buffer));
                    let count = match step % 2 {
                        0 => Some(reading.await.unwrap()),
                        _ => poll_fn(|cx| {
                            Poll::Ready(match reading.as_mut().poll(cx) {
                                Poll::Ready(count) => Some(count.unwrap()),
                                Poll::Pending => None,
                            })
                        })
                        .await,
                    };
                    match count {
                        Some(0) => {
                            assert!(reader.is_at_end() && read == message.as_bytes());
                            break;
                        }
                        Some(count) => read.extend_from_slice(&buffer[..count]),
                        None => tokio::task::yield_now().await,
                    }
                }
                assert!(message.as_bytes().starts_with(&read));
            }
            drop(sending.await.unwrap());
            assert!(client.recv_reader().await.unwrap().is_none());
        });
    }
}
