//! Bursts: what a connection sends of one is what it sends of the messages one by one.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use proptest::prelude::*;
use towline_kit::{Heard, Peer};
use towline_proto::{
    Burst, CloseCode, CloseFrame, Compress, Config, Frame, Message, Outbound, Role,
};

fn burst(messages: &[Message]) -> Burst {
    let mut burst = Burst::new();
    for message in messages {
        burst.push(message, Compress::Auto);
    }
    burst
}

fn texts(texts: &[&str]) -> Vec<Message> {
    texts.iter().map(|text| Message::text(*text)).collect()
}

/// Sends messages as a host does that waits for room. Returns how many had room.
fn sends(peer: &mut Peer, messages: &[Message]) -> usize {
    let has_room = |message: &&Message| {
        let session = peer.session();
        !session.is_full() && session.send(*message).is_ok()
    };
    messages.iter().take_while(has_room).count()
}

fn heard(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(Heard::text).collect()
}

fn stats(peer: &mut Peer) -> String {
    let now = peer.now();
    format!("{:?}", peer.session().stats(now))
}

/// A message of some length, and whether it is text.
fn message() -> impl Strategy<Value = Message> {
    let len = prop_oneof![
        4 => 0..200usize,
        1 => prop_oneof![Just(125), Just(126), Just(Outbound::COPY_MAX), Just(Outbound::COPY_MAX + 1)],
    ];
    (len, any::<bool>()).prop_map(|(len, is_text)| match is_text {
        true => Message::text("x".repeat(len)),
        false => Message::binary(vec![7; len]),
    })
}

proptest! {
    #[test]
    fn a_burst_is_sent_as_its_messages_are(
        before in prop::collection::vec(message(), 0..3),
        messages in prop::collection::vec(message(), 1..12),
        threshold in prop_oneof![Just(100usize), Just(16 << 10)],
        mark in 0..2000usize,
        taken in 0..300usize,
    ) {
        let config = Config::server()
            .fragmentation_threshold(NonZeroUsize::new(threshold).unwrap())
            .send_high_water_mark(mark);
        let [mut one, mut all] = [0; 2].map(|_| Peer::new(Role::Server, &config));
        for peer in [&mut one, &mut all] {
            sends(peer, &before);
            peer.takes(taken);
        }
        let had_room = sends(&mut one, &messages) == messages.len();
        let is_short = messages.iter().all(|message| message.len() <= threshold.min(4096));
        let burst = burst(&messages);
        let earlier = stats(&mut all);
        let is_sent = all.session().send_burst(&burst);
        if is_sent {
            prop_assert!(had_room && is_short);
            prop_assert_eq!(stats(&mut one), stats(&mut all));
            prop_assert_eq!(one.hears(), all.hears());
            prop_assert_eq!(stats(&mut one), stats(&mut all));
        } else {
            prop_assert_eq!(stats(&mut all), earlier);
            // What was queued before can be too long to be encoded.
            let is_encoded = before.iter().all(|message| message.len() <= threshold);
            prop_assert!(!had_room || !is_short || !is_encoded);
        }
    }

    #[test]
    fn a_burst_that_the_host_has_written_counts_as_one_that_was_queued(
        messages in prop::collection::vec(message(), 1..12),
        mark in 0..2000usize,
    ) {
        let config = Config::server().send_high_water_mark(mark);
        let [mut queued, mut passed] = [0; 2].map(|_| Peer::new(Role::Server, &config));
        let burst = burst(&messages);
        let can_pass = passed.session().can_pass(&burst);
        prop_assert_eq!(can_pass, queued.session().send_burst(&burst));
        if can_pass {
            passed.session().handle_passed(&burst);
            prop_assert!(passed.session().outbound().is_empty());
            queued.hears();
            prop_assert_eq!(stats(&mut queued), stats(&mut passed));
        }
    }
}

#[test]
fn frames_are_those_of_a_server() {
    let mut peer = Peer::of_server();
    let messages = [Message::text("ahoy"), Message::binary(vec![1, 2]), Message::text("")];
    assert!(peer.session().send_burst(&burst(&messages)));
    peer.takes(usize::MAX);
    let wire = [&[0x81, 4][..], b"ahoy", &[0x82, 2, 1, 2], &[0x81, 0]].concat();
    assert_eq!(burst(&messages).wire(), wire);
    assert_eq!(peer.heard().len(), 3);
}

#[test]
fn a_client_masks_each_message_with_a_key_of_its_own() {
    let mut peer = Peer::of_client();
    let burst = burst(&texts(&["one", "two"]));
    assert!(!peer.session().can_pass(&burst));
    assert!(!peer.session().send_burst(&burst));
    assert!(peer.hears().is_empty());
}

#[test]
fn a_burst_neither_follows_a_close_nor_breaks_into_a_message_made_of_frames() {
    let burst = burst(&texts(&["one", "two"]));
    let mut peer = Peer::of_server();
    let now = peer.now();
    peer.session().send_frame(now, Frame::text("Hel").fin(false)).unwrap();
    assert!(!peer.session().send_burst(&burst));
    peer.hears();
    assert!(!peer.session().can_pass(&burst));
    assert!(!peer.session().send_burst(&burst));
    peer.session().send_frame(now, Frame::continuation("lo")).unwrap();
    peer.hears();
    assert!(peer.session().can_pass(&burst));
    peer.session().close(now, CloseFrame::new(CloseCode::NORMAL, "").unwrap()).unwrap();
    peer.hears();
    assert!(!peer.session().can_pass(&burst));
    assert!(!peer.session().send_burst(&burst));
}

#[test]
fn a_burst_does_not_overtake_what_is_queued() {
    let mut peer = Peer::of_server();
    let burst = burst(&texts(&["two", "three"]));
    peer.session().send("one").unwrap();
    assert!(!peer.session().can_pass(&burst));
    assert!(peer.session().send_burst(&burst));
    assert_eq!(heard(&peer.hears()), ["one", "two", "three"]);
    peer.session().send(Message::binary(vec![7; 1 << 20])).unwrap();
    assert!(!peer.session().send_burst(&burst));
}

#[test]
fn messages_of_a_burst_that_were_not_written_come_back() {
    let config = Config::server().keep_unsent(true);
    let mut peer = Peer::new(Role::Server, &config);
    let messages = texts(&["one", "two", "three"]);
    let burst = burst(&messages);
    assert!(!peer.session().can_pass(&burst), "what is not queued does not come back");
    assert!(peer.session().send_burst(&burst));
    peer.takes(2 + 3 + 1);
    peer.ends();
    assert_eq!(peer.session().outbound().take_unsent(), messages[2..]);
}
