//! Promise 3: messages of concurrent senders never interleave on the wire; control frames slip in
//! between the fragments of a long message.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use towline::{Config, Frame, Keepalive, Message, Opcode, Role, Sender};
use towline_kit::{Heard, frame};

use crate::support::{pair, pair_with_pipe};
use crate::wire::{connect, settle};

fn config() -> Config {
    Config::client()
        .keepalive(None::<Keepalive>)
        .fragmentation_threshold(NonZeroUsize::new(100).unwrap())
        .send_high_water_mark(2000)
}

/// A message that says whose it is, which one, and that it is whole.
fn message(task: u8, index: u8) -> Message {
    let size = 2 + usize::from(index) * 37 % 900;
    let mut bytes = vec![task ^ index; size];
    (bytes[0], bytes[1]) = (task, index);
    Message::binary(bytes)
}

async fn send_some(sender: Sender, task: u8, count: u8) {
    for index in 0..count {
        let message = message(task, index);
        match (task + index) % 5 {
            0 => {
                let bytes = message.into_bytes();
                let middle = bytes.len() / 2;
                // Whoever begins a message by hand is to finish it; others may be in the middle
                // of theirs.
                let first = Frame::binary(bytes.slice(..middle)).fin(false);
                while sender.send_frame(first.clone()).await.is_err() {
                    tokio::task::yield_now().await;
                }
                tokio::task::yield_now().await;
                let last = Frame::continuation(bytes.slice(middle..));
                sender.send_frame(last).await.unwrap();
            }
            1 => {
                let mut message = message;
                while let Err(full) = sender.try_send(message) {
                    message = full.into_message().unwrap();
                    tokio::task::yield_now().await;
                }
            }
            _ => sender.send(message).await.unwrap(),
        }
        if index % 7 == 0 {
            sender.ping("").await.unwrap();
        }
    }
}

async fn each_arrives_whole_and_in_its_senders_order(tasks: u8, count: u8, pipe: usize) {
    let (server, mut client) = pair_with_pipe(&config(), &config(), pipe);
    let (sender, receiver) = server.split();
    let sending: Vec<_> =
        (0..tasks).map(|task| tokio::spawn(send_some(sender.clone(), task, count))).collect();
    drop((sender, receiver));
    let mut next: HashMap<u8, u8> = HashMap::new();
    while let Some(received) = client.recv().await.unwrap() {
        let (task, index) = (received.as_bytes()[0], received.as_bytes()[1]);
        assert_eq!(received, message(task, index));
        let next = next.entry(task).or_default();
        assert_eq!(index, *next, "of task {task}");
        *next += 1;
    }
    for task in sending {
        task.await.unwrap();
    }
    assert_eq!(next, (0..tasks).map(|task| (task, count)).collect());
}

#[tokio::test(start_paused = true)]
async fn messages_of_many_tasks_never_interleave() {
    each_arrives_whole_and_in_its_senders_order(16, 40, 700).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_many_threads_never_interleave() {
    for _ in 0..4 {
        each_arrives_whole_and_in_its_senders_order(8, 100, 4096).await;
    }
}

/// The fragments of a message follow each other on the wire with nothing but control frames
/// between.
#[tokio::test(start_paused = true)]
async fn pongs_slip_in_between_the_fragments_of_a_long_message() {
    for role in [Role::Server, Role::Client] {
        let config = Config::server().send_high_water_mark(8 << 20);
        let (mut connection, far) = connect(role, &config);
        let sender = connection.sender();
        far.stalls();
        sender.send(vec![7; 1 << 20]).await.unwrap();
        sender.send("after it").await.unwrap();
        let receiving = tokio::spawn(async move { connection.recv().await });
        let mut heard: Vec<Heard> = Vec::new();
        for round in 0..4 {
            far.takes(100_000);
            settle().await;
            far.says(frame().ping([round]));
            settle().await;
        }
        sender.ping("mine").await.unwrap_or_else(|error| panic!("{error}"));
        far.flows();
        settle().await;
        heard.extend(far.hears());
        let controls = heard.iter().filter(|heard| heard.opcode().is_control()).count();
        assert_eq!(controls, 5);
        let at =
            |wanted: &[u8]| heard.iter().position(|heard| heard.payload == wanted).expect("heard");
        for control in [&[0][..], &[1], &[2], &[3], b"mine"] {
            assert!(at(control) > 0, "{control:?} at the front");
        }
        assert!(at(&[0]) < at(&[1]) && at(&[1]) < at(&[2]) && at(&[2]) < at(&[3]));
        // Each was answered before the message was over.
        let last = heard.iter().rposition(|heard| heard.opcode() == Opcode::Continuation).unwrap();
        assert!(heard[last].is_fin() && at(b"mine") < last);
        assert_eq!(heard.last().unwrap().text(), "after it");
        let data = heard.iter().filter(|heard| !heard.opcode().is_control());
        assert_eq!(data.map(|heard| heard.payload.len()).sum::<usize>(), (1 << 20) + 8);
        receiving.abort();
    }
}

/// While one task makes a message of frames, those of others wait for its end.
#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_message_made_of_frames() {
    let (server, mut client) = pair(&config(), &config());
    let other = server.sender();
    server.send_frame(Frame::text("Hel").fin(false)).await.unwrap();
    other.send("later").await.unwrap();
    other.ping("now").await.unwrap();
    server.send_frame(Frame::continuation("lo")).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::text("Hello")));
    assert_eq!(client.recv().await.unwrap(), Some(Message::text("later")));
}

/// What others have sent behind an unfinished message must not keep it from being finished.
#[tokio::test(start_paused = true)]
async fn a_message_made_of_frames_can_be_finished_however_much_is_held_behind_it() {
    let config = Config::server().send_high_water_mark(1000);
    let (connection, far) = connect(Role::Server, &config);
    connection.send_frame(Frame::binary("start").fin(false)).await.unwrap();
    connection.send(vec![1; 900]).await.unwrap();
    connection.send(vec![2; 900]).await.unwrap();
    far.stalls_behind(&connection.sender()).await;
    connection.send_frame(Frame::continuation(vec![0; 2000]).fin(false)).await.unwrap();
    let finishing = tokio::spawn(async move {
        connection.send_frame(Frame::continuation("end")).await.unwrap();
        connection
    });
    settle().await;
    assert!(!finishing.is_finished());
    far.flows();
    settle().await;
    assert!(finishing.is_finished(), "there is room, and nobody has said so");
    assert_eq!(far.hears().len(), 5);
}
