//! A message that is sent while it is written.

use std::future::poll_fn;
use std::io::ErrorKind as Io;
use std::pin::pin;
use std::task::Poll;

use futures_util::SinkExt;
use tokio::io::AsyncWriteExt as _;
use towline::{
    CloseCause, CloseCode, Config, Connection, ErrorKind, Keepalive, Message, MessageKind, Opcode,
    Role,
};
use towline_kit::{Heard, frame};

use crate::support::{pair, pair_with_pipe};
use crate::wire::{Far, connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];
const FRAGMENT: usize = 16 << 10;

fn config() -> Config {
    Config::client().keepalive(None::<Keepalive>)
}

/// What a frame is: its opcode, whether it is the last, and its length.
fn outline(heard: &[Heard]) -> Vec<(Opcode, bool, usize)> {
    heard.iter().map(|one| (one.opcode(), one.is_fin(), one.payload.len())).collect()
}

async fn hears(far: &Far) -> Vec<(Opcode, bool, usize)> {
    settle().await;
    outline(&far.hears())
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_in_fragments_while_it_is_written() {
    use Opcode::{Binary, Continuation, Text};
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let mut writer = connection.message_writer(MessageKind::Text);
        assert_eq!(writer.kind(), MessageKind::Text);
        writer.write_all(&[b'x'; FRAGMENT]).await.unwrap();
        assert_eq!(hears(&far).await, []);
        writer.write_all(b"x").await.unwrap();
        assert_eq!(hears(&far).await, [(Text, false, FRAGMENT)]);
        writer.flush().await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(outline(&far.hears()), [(Continuation, false, 1)]);
        writer.write_all(b"xx").await.unwrap();
        writer.finish().await.unwrap();
        writer.finish().await.unwrap();
        assert_eq!(hears(&far).await, [(Continuation, true, 2)]);
        assert_eq!(writer.write(b"more").await.unwrap_err().kind(), Io::InvalidInput);
        drop(writer);

        // Small ones are single frames, and so is one that fits exactly.
        for len in [0, 1, FRAGMENT, FRAGMENT + 1] {
            let mut writer = connection.message_writer(MessageKind::Binary);
            writer.flush().await.unwrap();
            writer.write_all(&vec![7; len]).await.unwrap();
            writer.shutdown().await.unwrap();
            let expected = match len.checked_sub(FRAGMENT) {
                Some(rest @ 1..) => vec![(Binary, false, FRAGMENT), (Continuation, true, rest)],
                _ => vec![(Binary, true, len)],
            };
            assert_eq!(outline(&far.hears()), expected);
            writer.shutdown().await.unwrap();
        }
        assert!(connection.is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn others_come_after_the_message_and_control_frames_in_between() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let sender = connection.sender();
        let mut writer = sender.message_writer(MessageKind::Binary);
        writer.write_all(b"a").await.unwrap();
        // It has not begun, as nothing of it was sent.
        sender.send("before").await.unwrap();
        writer.flush().await.unwrap();
        sender.send("after").await.unwrap();
        sender.ping("between").await.unwrap();
        let other = sender.clone();
        let second = tokio::spawn(async move {
            let mut writer = other.message_writer(MessageKind::Text);
            writer.write_all(b"the other").await.unwrap();
            writer.flush().await.unwrap();
            writer.finish().await.unwrap();
        });
        settle().await;
        // What is held back is not waited for.
        writer.write_all(b"b").await.unwrap();
        writer.flush().await.unwrap();
        settle().await;
        assert!(!second.is_finished());
        writer.finish().await.unwrap();
        second.await.unwrap();
        settle().await;
        let heard: Vec<_> = far.hears().into_iter().map(|one| one.payload).collect();
        let expected = [&b"before"[..], b"a", b"between", b"b", b"", b"after", b"the other", b""];
        assert_eq!(heard, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_ends_the_connection_with_1011_if_some_of_it_was_sent() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let mut unsent = connection.message_writer(MessageKind::Binary);
        unsent.write_all(&[7; FRAGMENT]).await.unwrap();
        drop(unsent);
        let mut finished = connection.message_writer(MessageKind::Binary);
        finished.write_all(&[7; FRAGMENT]).await.unwrap();
        finished.flush().await.unwrap();
        finished.finish().await.unwrap();
        drop(finished);
        settle().await;
        assert!(connection.is_open());
        far.forgets_what_it_heard();

        let mut unfinished = connection.message_writer(MessageKind::Binary);
        unfinished.write_all(&[7; FRAGMENT + 1]).await.unwrap();
        drop(unfinished);
        settle().await;
        let heard = far.hears();
        assert_eq!(heard[0].payload.len(), FRAGMENT);
        let close = heard[1].close();
        assert_eq!(close.code(), CloseCode::INTERNAL_ERROR);
        assert!(close.reason().contains("unfinished"), "{close:?}");
        assert_eq!(connection.send("late").await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_makes_the_writer_wait_and_no_byte_is_lost() {
    for role in BOTH {
        let config = config().send_high_water_mark(100_000).send_timeout(None);
        let (connection, far) = connect(role, &config);
        far.stalls();
        let sender = connection.sender();
        let mut writer = sender.message_writer(MessageKind::Binary);
        let all: Vec<u8> = (0..1_000_000u32).map(|at| at.to_be_bytes()[3]).collect();
        let mut rest = &all[..];
        let mut pending = 0;
        while !rest.is_empty() {
            // Each write is dropped after one poll.
            let wrote = {
                let mut write = pin!(writer.write(&rest[..rest.len().min(5000)]));
                poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await
            };
            match wrote {
                Poll::Ready(count) => rest = &rest[count.unwrap()..],
                Poll::Pending => {
                    pending += 1;
                    let queued = sender.queued_bytes();
                    assert!((80_000..140_000).contains(&queued), "{queued} bytes are queued");
                    far.takes(70_000);
                    settle().await;
                }
            }
        }
        assert!(pending > 5);
        let finished = {
            let mut finish = pin!(writer.finish());
            poll_fn(|cx| Poll::Ready(finish.as_mut().poll(cx))).await
        };
        far.flows();
        if finished.is_pending() {
            settle().await;
            writer.finish().await.unwrap();
        }
        settle().await;
        let heard = far.hears();
        assert!(heard.iter().map(|one| &one.payload[..]).collect::<Vec<_>>().concat() == all);
        assert!(heard.last().unwrap().is_fin());
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf_8_is_not_sent() {
    let (connection, far) = connect(Role::Client, &config());
    let mut writer = connection.message_writer(MessageKind::Text);
    for byte in "é€😀".as_bytes() {
        writer.write_all(&[*byte]).await.unwrap();
        writer.flush().await.unwrap();
    }
    let error = writer.write(b"ship \xFF").await.unwrap_err();
    assert_eq!(error.kind(), Io::InvalidData);
    // Nothing of it was taken, and the message goes on.
    writer.write_all(b"\xE2\x82").await.unwrap();
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::InvalidSend);
    assert_eq!(writer.shutdown().await.unwrap_err().kind(), Io::InvalidInput);
    writer.write_all(b"\xAC").await.unwrap();
    writer.finish().await.unwrap();
    settle().await;
    let payload: Vec<u8> = far.hears().into_iter().flat_map(|one| one.payload).collect();
    assert_eq!(String::from_utf8(payload).unwrap(), "é€😀€");
}

#[tokio::test(start_paused = true)]
async fn who_writes_to_a_closed_connection_is_told() {
    for kind in [MessageKind::Text, MessageKind::Binary] {
        let (connection, _far) = connect(Role::Server, &config());
        let mut begun = connection.message_writer(kind);
        begun.write_all(b"begun").await.unwrap();
        begun.flush().await.unwrap();
        connection.start_close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(begun.flush().await.map_err(|error| error.kind()), Ok(()));
        begun.write_all(b"more").await.unwrap();
        assert_eq!(begun.flush().await.unwrap_err().kind(), Io::BrokenPipe);
        assert_eq!(begun.finish().await.map_err(|error| error.kind()), Err(ErrorKind::Closed));
        let mut writer = connection.message_writer(kind);
        assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

/// The close does not wait for a writer that is kept, and nobody is told that it all went well.
#[tokio::test(start_paused = true)]
async fn a_close_that_cuts_a_message_off_says_so_to_everybody() {
    for role in BOTH {
        for by in 0..3 {
            let (mut connection, far) = connect(role, &config());
            let sender = connection.sender();
            let mut writer = sender.message_writer(MessageKind::Binary);
            writer.write_all(b"begun").await.unwrap();
            writer.flush().await.unwrap();
            let mut behind = sender.clone();
            behind.send("behind it").await.unwrap();
            let mut sink = sender.clone();
            let sinking =
                tokio::spawn(async move { SinkExt::send(&mut sink, "sunk".into()).await });
            let flusher = sender.clone();
            let flushing = tokio::spawn(async move { flusher.flushed().await });
            settle().await;
            assert!(!sinking.is_finished() && !flushing.is_finished());
            let closing = match by {
                0 => tokio::spawn(async move { connection.close(CloseCode::NORMAL, "").await }),
                1 => {
                    let (sender, receiver) = connection.split();
                    drop(receiver);
                    tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await })
                }
                _ => {
                    far.says(frame().close(1000, ""));
                    tokio::spawn(async move {
                        assert_eq!(connection.recv().await.unwrap(), None);
                        Ok(connection.wait_closed().await)
                    })
                }
            };
            settle().await;
            let heard = far.hears();
            assert_eq!(outline(&heard[..1]), [(Opcode::Binary, false, 5)]);
            assert_eq!((heard[1].close().code(), heard.len()), (CloseCode::NORMAL, 2));
            // Neither of them was written.
            let error = sinking.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            let error = SinkExt::flush(&mut behind).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            if by < 2 {
                assert!(!flushing.is_finished(), "the connection has not ended");
                SinkExt::<Message>::close(&mut behind).await.unwrap_err();
                let error = writer.finish().await.unwrap_err();
                let parts = ["this end is closing", "the message is cut off: finish it before"];
                assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
                far.says(frame().close(1000, ""));
            }
            far.ends();
            let closed = closing.await.unwrap().unwrap();
            assert!(closed.is_clean());
            assert_eq!(closed.cut_messages(), 3, "by {by}");
            flushing.await.unwrap();
            let error = writer.finish().await.unwrap_err();
            assert!(error.to_string().contains("cut off 3 messages"), "{error}");
        }
    }
}

/// A writer that has sent nothing, or everything, is not in the way of a close.
#[tokio::test(start_paused = true)]
async fn a_close_cuts_nothing_off_where_no_message_is_begun() {
    for is_finished in [false, true] {
        let (mut server, client) = pair(&config(), &config());
        let mut writer = client.message_writer(MessageKind::Binary);
        writer.write_all(&[7; FRAGMENT]).await.unwrap();
        if is_finished {
            writer.write_all(&[7; 1]).await.unwrap();
            writer.finish().await.unwrap();
        }
        client.send("behind it").await.unwrap();
        let receiving = tokio::spawn(async move {
            let mut count = 0;
            while server.recv().await.unwrap().is_some() {
                count += 1;
            }
            count
        });
        let mut client = client;
        let closed = client.close(CloseCode::NORMAL, "").await.unwrap();
        assert_eq!((closed.is_clean(), closed.cut_messages()), (true, 0));
        assert_eq!(receiving.await.unwrap(), if is_finished { 2 } else { 1 });
        let error = writer.finish().await.map_err(|error| error.to_string());
        match is_finished {
            true => error.unwrap(),
            false => assert!(!error.unwrap_err().contains("cut off")),
        }
    }
}

/// Many at the same time, on a pipe that holds little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_many_tasks_take_turns() {
    let config = config().send_high_water_mark(1000).keepalive(None::<Keepalive>);
    let (server, mut client) = pair_with_pipe(&config, &config, 4096);
    let (sender, receiver) = server.split();
    let writing: Vec<_> = (0..8u8)
        .map(|task| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let mut writer = sender.message_writer(MessageKind::Binary);
                    for _ in 0..20 {
                        writer.write_all(&[task; 999]).await.unwrap();
                        if round % 3 == 0 {
                            writer.flush().await.unwrap();
                        }
                    }
                    writer.finish().await.unwrap();
                    sender.send([task; 3]).await.unwrap();
                }
            })
        })
        .collect();
    drop((sender, receiver));
    let mut received = [0; 8];
    while let Some(message) = client.recv().await.unwrap() {
        let task = message.as_bytes()[0];
        let len = message.len();
        assert!(len == 3 || len == 20 * 999, "{len}");
        assert!(message.as_bytes().iter().all(|byte| *byte == task));
        received[usize::from(task)] += 1;
    }
    assert_eq!(received, [20; 8]);
    for task in writing {
        task.await.unwrap();
    }
}

/// Neither end holds it: what arrives is sent on.
#[tokio::test(start_paused = true)]
async fn a_message_is_sent_on_while_it_arrives() {
    async fn echo(connection: Connection) {
        let (sender, mut receiver) = connection.split();
        while let Some(mut reader) = receiver.recv_reader().await.unwrap() {
            let mut writer = sender.message_writer(reader.kind());
            tokio::io::copy_buf(&mut reader, &mut writer).await.unwrap();
            writer.finish().await.unwrap();
        }
    }
    let (server, mut client) = pair(&config(), &config());
    let echo = tokio::spawn(echo(server));
    for message in [
        Message::text("ship ahoy"),
        Message::binary(""),
        Message::text("é".repeat(500_000)),
        Message::binary(vec![7; 3_000_000]),
    ] {
        let sender = client.sender();
        let sent = message.clone();
        let sending = tokio::spawn(async move { sender.send(sent).await });
        assert!(client.recv().await.unwrap().unwrap() == message);
        sending.await.unwrap().unwrap();
    }
    let closed = client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(closed.is_clean(), "{:?}", CloseCause::Aborted);
    echo.await.unwrap();
}
