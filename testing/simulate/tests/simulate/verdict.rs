//! What must hold for a connection once its run is over.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use towline::{CloseCause, CloseFrame, Initiator};

use crate::ledger::Ledger;
use crate::link::{Link, SERVER};
use crate::program::Faults;
use crate::world::Dialled;

/// Timers have a resolution of a millisecond.
const TICK: Duration = Duration::from_millis(10);

/// The longest time between two looks of the library at a connection.
const LOOK: Duration = Duration::from_secs(6);

pub(crate) fn check(dialled: &Dialled, faults: &Faults) {
    let ledgers = dialled.ends.each_ref().map(|end| {
        end.as_ref().map(|ledger| ledger.lock().unwrap_or_else(PoisonError::into_inner))
    });
    let [client, server] = ledgers.each_ref().map(|ledger| ledger.as_deref());
    let mut found = Vec::new();
    released(&dialled.link, [client, server], &mut found);
    for (one, other) in [(client, server), (server, client)] {
        let Some(one) = one else { continue };
        delivered(one, other, &mut found);
        ended(one, other, &dialled.link, &mut found);
    }
    if let (Some(client), Some(server)) = (client, server) {
        agreed(client, server, &mut found);
    }
    for fault in found {
        faults.add(fault);
    }
}

/// Both ends of the transport are free: no descriptor is left.
fn released(link: &Link, ends: [Option<&Ledger>; 2], found: &mut Vec<String>) {
    let state = link.lock();
    for (side, end) in ends.into_iter().enumerate() {
        let Some(dropped) = state.sides[side].dropped else {
            let of = end.map_or_else(|| format!("side {side}, not established"), Ledger::name);
            found.push(format!("{of}: the transport is never dropped"));
            continue;
        };
        let Some(end) = end.filter(|end| !end.has_crashed) else { continue };
        for (what, since) in [("dropped by the program", end.dropped), ("at its end", end.told)] {
            let Some(since) = since else { continue };
            if dropped > since + end.config.close_timeout + TICK {
                let late = dropped - since;
                found.push(format!("{}: {what}, and free {late:?} later", end.name()));
            }
        }
    }
}

/// Promises 2 to 5: messages arrive whole, in order and once, and all of them before a clean end.
fn delivered(receiver: &Ledger, sender: Option<&Ledger>, found: &mut Vec<String>) {
    let name = receiver.name();
    for (number, received) in &receiver.received {
        let accepted = sender.and_then(|sender| sender.accepted.get(number));
        let accepted = accepted.map_or(&[][..], Vec::as_slice);
        if !accepted.starts_with(received) {
            let at = received.iter().zip(accepted).take_while(|(one, other)| one == other).count();
            found.push(format!(
                "{name}: of sender {number}, message {at} to come is {:?} and not {:?}",
                received.get(at),
                accepted.get(at)
            ));
        }
    }
    let Some(sender) = sender else { return };
    for ticket in &sender.unsent {
        let received = receiver.received.get(&ticket.sender);
        if received.is_some_and(|received| received.contains(&ticket.number)) {
            found.push(format!("{name}: {ticket:?} was received, and came back as unsent"));
        }
    }
    if receiver.is_drained {
        for (number, accepted) in &sender.accepted {
            let count = receiver.received.get(number).map_or(0, Vec::len);
            if count < accepted.len() {
                let all = accepted.len();
                found.push(format!("{name}: {count} of {all} of sender {number}, and a clean end"));
            }
        }
    }
}

/// Promises 6 and 8: the end came in time, and its cause is what happened.
fn ended(end: &Ledger, peer: Option<&Ledger>, link: &Link, found: &mut Vec<String>) {
    let name = end.name();
    let Some((at, closed)) = &end.closed else {
        if !end.has_crashed && end.dropped.is_none() {
            found.push(format!("{name}: it never ended"));
        }
        return;
    };
    if end.has_crashed {
        return;
    }
    let state = link.lock();
    let arrived = state.pipes[1 - end.side].last_arrival(*at);
    let heard = arrived.unwrap_or(end.established).max(end.established);
    let keepalive = end.config.keepalive;
    let limit = keepalive.and_then(|it| Some(it.interval + it.grace?));
    // What the library does not receive or send itself, it notes when it next looks.
    let look = keepalive.map_or(LOOK, |it| it.interval.min(LOOK));
    // A peer whose bytes lie unread is not given up, in the transport or in the library. A program that
    // receives leaves none.
    if let (Some(limit), Some(receiving)) = (limit, end.receiving) {
        // Keepalive ends with the first close frame or error, and the close timeout begins.
        let is_closing = end.closing.is_some()
            || closed.received().is_some()
            // A shutdown of the server has begun a close whose frame could not be written.
            || (closed.initiator(), closed.cause()) == (Initiator::Local, CloseCause::TransportEnded)
            || matches!(
                closed.cause(),
                CloseCause::TransportFailed(_) | CloseCause::CloseTimeout | CloseCause::Aborted
            );
        let closing = if is_closing { end.config.close_timeout } else { Duration::ZERO };
        // A peer that takes bytes is alive too.
        let taken = state.pipes[end.side].taken_at + look;
        let most = heard.max(receiving).max(taken) + limit + closing + TICK;
        if *at > most && closed.cause() != CloseCause::Handshake {
            let late = *at - most;
            found.push(format!("{name}: the peer was dead, and found {late:?} too late: {closed}"));
        }
    }
    let is_ours = end.closing.is_some() && closed.initiator() == Initiator::Local;
    match closed.cause() {
        CloseCause::PeerUnresponsive => {
            let grace = keepalive.and_then(|it| it.grace).unwrap_or_default();
            if heard + grace > *at + TICK {
                let ago = *at - heard;
                found.push(format!("{name}: given up, and heard {ago:?} ago"));
            }
            living(end, peer, *at, &state, found);
        }
        CloseCause::SendTimeout => {
            let timeout = end.config.send_timeout.unwrap_or_default();
            let moved = state.pipes[end.side].written_at;
            if moved + timeout > *at + TICK {
                found.push(format!("{name}: given up, and wrote {:?} ago", *at - moved));
            }
        }
        CloseCause::CloseTimeout => {
            let began = end.closing.map(|(began, _)| began).filter(|_| is_ours);
            if began.is_some_and(|began| began + end.config.close_timeout > *at + TICK) {
                found.push(format!("{name}: a close timed out too early"));
            }
        }
        CloseCause::TransportFailed(_) if !state.has_reset => {
            let is_gone = state.sides[1 - end.side].dropped.is_some();
            if !is_gone {
                found.push(format!("{name}: {closed}, and nothing was reset"));
            }
        }
        CloseCause::TransportEnded if state.sides[1 - end.side].dropped.is_none() => {
            found.push(format!("{name}: {closed}, and the peer has not ended"));
        }
        CloseCause::Violation(_) | CloseCause::LimitExceeded(_) => {
            found.push(format!("{name}: {closed}, and the peer is honest"));
        }
        _ => {}
    }
}

/// A peer that answers, on a network that carries the answer, is never given up.
fn living(
    end: &Ledger,
    peer: Option<&Ledger>,
    at: Instant,
    state: &crate::link::State,
    found: &mut Vec<String>,
) {
    let Some(keepalive) = end.config.keepalive else { return };
    let grace = keepalive.grace.unwrap_or_default();
    let window = keepalive.interval + grace + Duration::from_secs(2);
    let is_disturbed = match state.disturbed {
        None => false,
        Some(None) => true,
        Some(Some(until)) => until + window > at,
    };
    let is_slow = |end: &Ledger| end.pause + Duration::from_secs(1) > grace;
    // A whole connection is not received from while its program sends.
    let is_busy = is_slow(end) || peer.is_none_or(|peer| peer.is_whole || is_slow(peer));
    if !is_disturbed && !is_busy {
        found.push(format!("{}: a living peer was given up", end.name()));
    }
}

/// Promise 8: what one end sent as its close frame is what the other received.
fn agreed(client: &Ledger, server: &Ledger, found: &mut Vec<String>) {
    let (Some((_, ours)), Some((_, theirs))) = (&client.closed, &server.closed) else { return };
    for (one, other, ledger) in [(ours, theirs, client), (theirs, ours, server)] {
        let peer = if ledger.side == SERVER { client } else { server };
        if one.received().is_some() && one.received() != other.sent() && !peer.has_crashed {
            found.push(format!(
                "{}: received {:?}, and the peer sent {:?}",
                ledger.name(),
                one.received().map(CloseFrame::code),
                other.sent().map(CloseFrame::code)
            ));
        }
    }
    let is_remote =
        |closed: &towline::Closed| closed.is_clean() && closed.initiator() == Initiator::Remote;
    if is_remote(ours) && is_remote(theirs) {
        found.push(format!("{}: each end says that the other began to close", client.name()));
    }
}
