//! The transport of tests/it/wire.rs, with TLS on it: its peer is rustls's own. Tests of the promises
//! that are written for the one hold for the other.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::task::unconstrained;
use towline::{Config, Connection, Role, Sender, TlsStream};
use towline_kit::{FrameBytes, Heard, join};

use crate::ends::ENDS;
use crate::peer::{Peer, VERSIONS, client_config, server_config};
use crate::plain_wire;

pub(crate) use crate::plain_wire::{Call, settle};

/// What a ping says that nobody is to hear of.
const HELD_BACK: &str = "held back by TLS";

/// The test's end: a mock peer.
pub(crate) struct Far {
    wire: plain_wire::Far,
    peer_end: Mutex<PeerEnd>,
    role: Role,
}

struct PeerEnd {
    peer: Peer,
    heard: Vec<u8>,
}

/// A connection of this role, and its peer.
pub(crate) fn connect(role: Role, config: &Config) -> (Connection, Far) {
    connect_with_early(role, config, Bytes::new())
}

/// The same, where these bytes came behind the handshake.
pub(crate) fn connect_with_early(role: Role, config: &Config, early: Bytes) -> (Connection, Far) {
    let (near, far) = wire_of(role);
    (Connection::from_stream(near, role, config, early), far)
}

/// The two ends of a transport that is to become a server's connection.
pub(crate) fn wire() -> (TlsStream, Far) {
    wire_of(Role::Server)
}

fn wire_of(role: Role) -> (TlsStream, Far) {
    let (near, wire) = plain_wire::wire();
    let mut shaking: Pin<Box<dyn Future<Output = towline::Result<TlsStream>>>> = match role {
        Role::Server => Box::pin(ENDS.server.accept(near)),
        Role::Client => Box::pin(ENDS.client.connect(near, "localhost")),
    };
    let mut peer = match role {
        Role::Server => Peer::client(client_config(&ENDS.authority, VERSIONS[1])),
        Role::Client => {
            let signed = ENDS.authority.server(&["localhost"]);
            let mut config = server_config(&signed, VERSIONS[1]);
            // They would be more to read than what the test says.
            config.send_tls13_tickets = 0;
            Peer::server(config)
        }
    };
    let mut near = None;
    while near.is_none() || peer.session.is_handshaking() {
        if near.is_none() {
            let shaking = pin!(unconstrained(shaking.as_mut()));
            if let Poll::Ready(done) = shaking.poll(&mut Context::from_waker(Waker::noop())) {
                near = Some(done.unwrap());
            }
        }
        peer.hears(&wire.hears_bytes()).unwrap();
        let says = peer.says(&[]);
        if !says.is_empty() {
            wire.says_bytes(says);
        }
    }
    wire.calls();
    let peer_end = Mutex::new(PeerEnd { peer, heard: Vec::new() });
    (near.unwrap(), Far { wire, peer_end, role })
}

impl Far {
    fn lock(&self) -> MutexGuard<'_, PeerEnd> {
        self.peer_end.lock().unwrap()
    }

    /// The role that the peer plays.
    pub(crate) fn role(&self) -> Role {
        self.lock().peer.role()
    }

    /// Says a frame, in a read of its own.
    pub(crate) fn says(&self, frame: FrameBytes) {
        self.says_all([frame]);
    }

    /// Says frames, all in one read.
    pub(crate) fn says_all(&self, frames: impl IntoIterator<Item = FrameBytes>) {
        let role = self.role();
        self.says_bytes(join(frames.into_iter().map(|frame| frame.by(role))));
    }

    /// Says these bytes, in one read.
    pub(crate) fn says_bytes(&self, bytes: Vec<u8>) {
        let ciphertext = self.lock().peer.says(&bytes);
        self.wire.says_bytes(ciphertext);
    }

    /// Ends what can be read, behind what has been said.
    pub(crate) fn ends(&self) {
        let ciphertext = self.lock().peer.ends();
        self.wire.says_bytes(ciphertext);
        self.wire.ends();
    }

    /// The same, without a word.
    pub(crate) fn breaks_off(&self) {
        self.wire.ends();
    }

    /// Says that nothing more comes, and leaves the transport open.
    pub(crate) fn says_close_notify(&self) {
        let ciphertext = self.lock().peer.ends();
        self.wire.says_bytes(ciphertext);
    }

    /// What it would say, as it goes over the wire.
    pub(crate) fn ciphertext(&self, bytes: &[u8]) -> Vec<u8> {
        self.lock().peer.says(bytes)
    }

    /// Says this, as it is.
    pub(crate) fn says_ciphertext(&self, bytes: &[u8]) {
        self.wire.says_bytes(bytes.to_vec());
    }

    /// Whether it was said that nothing more comes, and whether the transport was shut down then.
    pub(crate) fn hears_end(&self) -> (bool, bool) {
        let mut peer_end = self.lock();
        self.listens(&mut peer_end);
        (peer_end.peer.is_closed, self.wire.calls().contains(&Call::Shutdown))
    }

    /// Makes reading fail, behind what has been said.
    pub(crate) fn fails(&self, kind: io::ErrorKind) {
        self.wire.fails(kind);
    }

    /// Makes writing fail.
    pub(crate) fn fails_writes(&self, kind: io::ErrorKind) {
        self.wire.fails_writes(kind);
    }

    /// Makes writing panic.
    pub(crate) fn panics(&self) {
        self.wire.panics();
    }

    /// Takes nothing from now on.
    pub(crate) fn stalls(&self) {
        self.wire.stalls();
    }

    /// The same, and TLS holds something back already: what is sent next is queued.
    pub(crate) async fn stalls_behind(&self, sender: &Sender) {
        self.stalls();
        sender.ping(HELD_BACK).await.unwrap();
        settle().await;
    }

    /// Takes so many bytes more.
    pub(crate) fn takes(&self, bytes: usize) {
        self.wire.takes(bytes);
    }

    /// Takes everything from now on.
    pub(crate) fn flows(&self) {
        self.wire.flows();
    }

    /// Has a flush wait from now on, though everything can be written.
    pub(crate) fn holds_back(&self) {
        self.wire.holds_back();
    }

    /// Has a flush wait no longer.
    pub(crate) fn lets_through(&self) {
        self.wire.lets_through();
    }

    /// The frames that have been written whole since this was last asked.
    pub(crate) fn hears(&self) -> Vec<Heard> {
        let mut peer_end = self.lock();
        self.listens(&mut peer_end);
        let mut all = Vec::new();
        let mut at = 0;
        while let Some((heard, len)) = Heard::first_of(&peer_end.heard[at..]) {
            assert_eq!(heard.header.mask.is_some(), self.role.masks(), "{heard:?}");
            if heard.payload != HELD_BACK.as_bytes() {
                all.push(heard);
            }
            at += len;
        }
        peer_end.heard.drain(..at);
        all
    }

    fn listens(&self, peer_end: &mut PeerEnd) {
        let plaintext = peer_end.peer.hears(&self.wire.hears_bytes()).unwrap();
        peer_end.heard.extend(plaintext);
    }

    /// Forgets what has been written, which need be no frames.
    pub(crate) fn forgets_what_it_heard(&self) {
        let mut peer_end = self.lock();
        self.listens(&mut peer_end);
        peer_end.heard.clear();
    }

    /// The calls since this was last asked.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.wire.calls()
    }

    /// The sizes of the writes since calls were last asked for.
    pub(crate) fn writes(&self) -> Vec<usize> {
        self.wire.writes()
    }

    /// How many bytes the connection has not read.
    pub(crate) fn unread(&self) -> usize {
        self.wire.unread()
    }

    /// Whether the connection has let go of the transport.
    pub(crate) fn is_dropped(&self) -> bool {
        self.wire.is_dropped()
    }
}
