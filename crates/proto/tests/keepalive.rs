//! Alive or gone: a silent peer is asked, and one that stays silent is given up.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use towline_kit::event::close_frame;
use towline_kit::{Pair, Peer, event, frame};
use towline_proto::{
    CloseCause, CloseCode, Config, Keepalive, Message, Opcode, Role, TransportFate,
};

const SECOND: Duration = Duration::from_secs(1);

fn is_ping(peer: &mut Peer) -> bool {
    let heard = peer.hears();
    heard.len() == 1 && heard[0].opcode() == Opcode::Ping
}

#[test]
fn a_silent_peer_is_asked_after_20_s_and_given_up_10_s_later() {
    for mut peer in [Peer::of_server(), Peer::of_client()] {
        assert_eq!(peer.pass_to_deadline(), Some(20 * SECOND));
        assert!(is_ping(&mut peer));
        peer.pass(9 * SECOND);
        let now = peer.now();
        assert!(!peer.session().is_peer_overdue(now));
        assert!(peer.session().is_peer_overdue(now + SECOND));
        assert_eq!(peer.pass_to_deadline(), Some(SECOND));
        assert_eq!(peer.closed().cause(), CloseCause::PeerUnresponsive);
        assert_eq!(peer.transport(), TransportFate::Close);
        assert_eq!(peer.hears(), [], "nobody is there to hear a close frame");
        assert_eq!(peer.session().poll_timeout(), None);
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut peer = Peer::of_server();
    // One message, a byte each 19 seconds.
    for byte in frame().text("slow").masked([1, 2, 3, 4]).bytes() {
        peer.pass(19 * SECOND);
        peer.says_bytes(&[byte]);
        assert_eq!(peer.hears(), []);
    }
    assert_eq!(peer.events(), [event::text("slow")]);
    assert_eq!(peer.pass_to_deadline(), Some(20 * SECOND));
    assert!(is_ping(&mut peer));
    // Not a pong, not even a frame.
    peer.pass(9 * SECOND);
    peer.says_bytes(&[0x81]);
    assert_eq!(peer.pass_to_deadline(), Some(20 * SECOND));
    assert!(is_ping(&mut peer));
    assert!(peer.session().is_open());
}

#[test]
fn bytes_that_lay_unread_when_the_grace_period_ended_save_the_peer() {
    let mut peer = Peer::of_server();
    peer.pass_to_deadline();
    let late = peer.now() + 15 * SECOND;
    assert!(peer.session().is_peer_overdue(late));
    // The host looks before it lets the session conclude, and finds something.
    peer.session().handle_received(late);
    assert!(!peer.session().is_peer_overdue(late));
    peer.pass(15 * SECOND);
    assert!(peer.session().is_open());
    assert_eq!(peer.session().poll_timeout(), Some(late + 20 * SECOND));
}

#[test]
fn without_grace_the_peer_is_asked_again_and_never_given_up() {
    let keepalive = Keepalive::every(5 * SECOND).grace(None);
    let mut peer = Peer::new(Role::Server, &Config::server().keepalive(keepalive));
    for _ in 0..10 {
        assert_eq!(peer.pass_to_deadline(), Some(5 * SECOND));
        assert!(is_ping(&mut peer));
    }
    assert!(peer.session().is_open());
}

#[test]
fn without_keepalive_nothing_is_ever_due() {
    let mut peer = Peer::new(Role::Server, &Config::server().keepalive(None));
    assert_eq!(peer.pass_to_deadline(), None);
    peer.pass(1_000_000 * SECOND);
    assert_eq!(peer.hears(), []);
    assert!(peer.session().is_open());
}

#[test]
fn an_interval_beyond_the_end_of_time_is_none() {
    let keepalive = Keepalive::every(Duration::MAX);
    let config = Config::server().keepalive(keepalive).close_timeout(Duration::MAX);
    let mut peer = Peer::new(Role::Server, &config);
    assert_eq!(peer.pass_to_deadline(), None);
    let now = peer.now();
    peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
    peer.says(frame().opcode(3));
    peer.pass(SECOND);
    peer.ends();
}

#[test]
fn ends_that_answer_each_other_live_for_ever() {
    let mut pair = Pair::default().in_chunks([1]);
    pair.pass(3_600 * SECOND);
    for role in [Role::Client, Role::Server] {
        assert!(pair.session(role).is_open());
        // The two ask in turn at the most: the answer to one is a sign of life to the other.
        let events = pair.events(role);
        assert!((60..=400).contains(&events.len()), "{} events", events.len());
    }
}

#[test]
fn an_end_whose_peer_vanished_notices_within_interval_and_grace() {
    let mut pair = Pair::default();
    pair.session(Role::Client).send(Message::text("last")).unwrap();
    pair.run();
    pair.stop_reading(Role::Client);
    pair.pass(29 * SECOND);
    assert!(pair.session(Role::Server).is_open());
    // The client asks the server all the while, and thereby shows that it is there.
    assert_eq!(pair.session(Role::Server).closed(), None);
    pair.stop_reading(Role::Server);
    pair.pass(60 * SECOND);
    assert_eq!(pair.closed(Role::Server).cause(), CloseCause::PeerUnresponsive);
}

#[test]
fn a_slow_peer_that_sends_a_byte_now_and_then_is_not_given_up() {
    let mut peer = Peer::of_client();
    let message = frame().text("a byte a second").bytes();
    for byte in &message {
        peer.pass(SECOND);
        peer.says_bytes(&[*byte]);
    }
    assert_eq!(peer.events(), [event::text("a byte a second")]);
    assert_eq!(peer.hears(), []);
}

#[test]
fn what_is_due_is_done_once_however_often_it_is_asked_for() {
    let mut peer = Peer::of_server();
    peer.pass_to_deadline();
    for _ in 0..10 {
        peer.pass(Duration::ZERO);
    }
    assert!(is_ping(&mut peer));
}

#[test]
fn a_host_that_comes_late_asks_before_it_concludes() {
    let mut peer = Peer::of_server();
    // A machine that slept for an hour must not take every peer for dead.
    peer.pass(3_600 * SECOND);
    assert!(is_ping(&mut peer));
    assert!(peer.session().is_open());
    assert_eq!(peer.pass_to_deadline(), Some(10 * SECOND));
}

#[test]
fn the_ping_goes_out_between_the_fragments_of_a_long_message() {
    let mut peer = Peer::of_server();
    peer.session().send(Message::binary(vec![0; 1 << 20])).unwrap();
    peer.takes(100_000);
    peer.pass_to_deadline();
    let heard = peer.hears();
    let at = heard.iter().position(|frame| frame.opcode() == Opcode::Ping).unwrap();
    assert!(at < 20, "the ping is frame {at} of {}", heard.len());
}

#[test]
fn an_end_that_closes_asks_no_more() {
    let mut peer = Peer::of_server();
    peer.pass(19 * SECOND);
    let now = peer.now();
    peer.session().close(now, close_frame(CloseCode::NORMAL, "")).unwrap();
    peer.hears_close();
    peer.pass(4 * SECOND);
    assert_eq!(peer.hears(), []);
    assert_eq!(peer.pass_to_deadline(), Some(SECOND));
    assert_eq!(peer.closed().cause(), CloseCause::CloseTimeout);
}

/// Nothing taken for as long as the send timeout, while something is queued: that is the end.
#[test]
fn a_peer_that_takes_nothing_is_given_up_with_a_cause_of_its_own() {
    let config = Config::server().keepalive(None::<Keepalive>);
    let mut peer = Peer::new(Role::Server, &config);
    peer.session().send(vec![1; 1000]).unwrap();
    assert_eq!(peer.session().poll_timeout(), None);
    let now = peer.now();
    peer.session().handle_full(now);
    peer.pass(59 * SECOND);
    assert!(peer.session().is_open());
    peer.pass(SECOND);
    assert_eq!(peer.session().closed().unwrap().cause(), CloseCause::SendTimeout);
}

#[test]
fn a_peer_that_takes_a_little_now_and_then_is_borne_with() {
    let mut peer = Peer::new(Role::Server, &Config::server().keepalive(None::<Keepalive>));
    peer.session().send(vec![1; 1000]).unwrap();
    for _ in 0..100 {
        let now = peer.now();
        peer.session().handle_full(now);
        peer.pass(59 * SECOND);
        peer.takes(1);
    }
    assert!(peer.session().is_open());
    // What was queued long after the last time that it was full is not the worse for it.
    peer.takes(usize::MAX);
    peer.pass(600 * SECOND);
    peer.session().send("late").unwrap();
    assert_eq!(peer.session().poll_timeout(), None);
    peer.pass(600 * SECOND);
    assert!(peer.session().is_open());
}

/// A peer whose bytes lie unread is alive, and hears of this end all the while.
#[test]
fn a_peer_whose_bytes_lie_unread_is_asked_again_and_again() {
    let mut peer = Peer::of_server();
    peer.pass_to_deadline();
    assert!(is_ping(&mut peer));
    for _ in 0..10 {
        peer.pass(9 * SECOND);
        let now = peer.now();
        peer.session().handle_unread(now);
        assert!(is_ping(&mut peer));
    }
    assert!(peer.session().is_open());
}
