//! The measured servers.

use std::path::Path;

use serde::Serialize;

/// The class of a server in comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rank {
    /// An echo of raw bytes. The first one is the reference for all ratios.
    Floor,
    Towline,
    /// Another Rust library, used as its documentation shows.
    Plain,
    /// Another Rust library, at its best.
    Tuned,
    /// A library for another language.
    Foreign,
}

/// The source of its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The package `bench-NAME`, in this mode.
    Cargo { library: &'static str, mode: &'static str },
    /// The npm library of this name.
    Node { library: &'static str },
    /// The program of `--uws`.
    Given,
}

#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) rank: Rank,
    pub(crate) source: Source,
    /// Whether the library does the opening handshake.
    pub(crate) own_handshake: bool,
    pub(crate) about: &'static str,
}

/// The libraries whose servers take `--compress` and `--takeover`. The bare echo sends back compressed
/// messages as they are.
const COMPRESSING: [&str; 6] = ["bare", "sockudo-ws", "towline", "uWebSockets", "ws", "yawc"];

/// Towline without topics, which sends to all connections.
pub(crate) const TOWLINE_TO_ALL: &str = "towline-broadcast";

const FAST: &str = "fastwebsockets";
const TOKIO_WS: &str = "tokio-websockets";
const TUNGSTENITE: &str = "tokio-tungstenite";
const TUNGSTENITE_BATCHED: &str = "tokio-tungstenite-batched";

/// The servers of the echo tables, in their order.
pub(crate) fn all(uws: Option<&Path>) -> Vec<Peer> {
    let mut peers = rust();
    let node = |name, about| Peer {
        name,
        rank: Rank::Foreign,
        source: Source::Node { library: name },
        own_handshake: true,
        about,
    };
    peers.push(node("ws", "npm, with its native helpers"));
    peers.push(node("websocket", "npm, with its native helpers"));
    if uws.is_some() {
        let about = "the program that was given";
        let (rank, source) = (Rank::Foreign, Source::Given);
        peers.push(Peer { name: "uWebSockets", rank, source, own_handshake: true, about });
    }
    peers
}

/// The servers of the tables for axum: those under it, and for comparison two without a framework.
pub(crate) fn under_axum() -> Vec<Peer> {
    let mut peers = rust();
    peers.retain(|peer| ["bare", "towline"].contains(&peer.name));
    peers.extend([TOWLINE_AXUM, AXUM].map(Peer::of));
    peers
}

/// The servers of the table for HTTP/2.
pub(crate) fn over_http2() -> Vec<Peer> {
    [TOWLINE_HYPER, TOWLINE_AXUM, AXUM].map(Peer::of).into()
}

/// The servers that only the tables for axum and for HTTP/2 have.
pub(crate) fn frameworks() -> Vec<Peer> {
    [TOWLINE_AXUM, AXUM, TOWLINE_HYPER].map(Peer::of).into()
}

/// The servers of the tables for fan-out.
pub(crate) fn fanning_out(uws: Option<&Path>) -> Vec<Peer> {
    use Rank::{Floor, Plain, Towline, Tuned};
    let mut peers = [
        ("bare", "bare", "plain", Floor, false, "a loop that writes the same bytes to each socket"),
        ("towline-topics", "towline", "plain", Towline, true, "join and publish"),
        (TOWLINE_TO_ALL, "towline", "broadcast", Towline, true, "broadcast to all connections"),
        (TUNGSTENITE, TUNGSTENITE, "plain", Plain, true, "a broadcast channel, a task per socket"),
        (TUNGSTENITE_BATCHED, TUNGSTENITE, "batched", Tuned, true, "the same, feed and flush"),
        (FAST, FAST, "plain", Plain, true, "a broadcast channel, a task per socket, on hyper"),
        ("axum", "axum", "plain", Plain, true, "the chat of its examples"),
    ]
    .map(Peer::of)
    .to_vec();
    let others = all(uws).into_iter().filter(|peer| ["ws", "uWebSockets"].contains(&peer.name));
    peers.extend(others);
    peers
}

/// Name, library, mode, rank, whether the library does the opening handshake, and a description.
type Row = (&'static str, &'static str, &'static str, Rank, bool, &'static str);

const AXUM: Row = ("axum", "axum", "plain", Rank::Plain, true, "axum's own extractor, send");

const TOWLINE_AXUM: Row = (
    "towline-axum",
    "towline-axum",
    "plain",
    Rank::Towline,
    true,
    "Towline's extractor for axum, recv and send",
);

const TOWLINE_HYPER: Row = (
    "towline-hyper",
    "towline-hyper",
    "plain",
    Rank::Towline,
    true,
    "mounted on an HttpServer, recv and send",
);

fn rust() -> Vec<Peer> {
    use Rank::{Floor, Plain, Towline, Tuned};
    [
        ("bare", "bare", "plain", Floor, false, "raw bytes on tokio, no frames, 64 KiB buffer"),
        ("bare-tuned", "bare", "tuned", Floor, false, "the same, a buffer that fits"),
        ("towline", "towline", "plain", Towline, true, "recv and send"),
        ("towline-split", "towline", "split", Towline, true, "halves, a cloned sender"),
        ("towline-borrowed", "towline", "borrowed", Towline, true, "recv_ref and send_ref"),
        (TUNGSTENITE, TUNGSTENITE, "plain", Plain, true, "send"),
        (
            TUNGSTENITE_BATCHED,
            TUNGSTENITE,
            "batched",
            Tuned,
            true,
            "feed and flush, fitting buffer",
        ),
        (FAST, FAST, "plain", Plain, true, "on hyper"),
        ("fastwebsockets-direct", FAST, "direct", Tuned, false, "on the bare socket"),
        (
            "fastwebsockets-corked",
            FAST,
            "corked",
            Tuned,
            false,
            "the same, writes gathered by hand",
        ),
        (TOKIO_WS, TOKIO_WS, "plain", Plain, true, "send"),
        ("tokio-websockets-batched", TOKIO_WS, "batched", Tuned, true, "gather, feed, flush"),
        ("yawc", "yawc", "plain", Plain, true, "on hyper, send"),
        (
            "yawc-batched",
            "yawc",
            "batched",
            Tuned,
            false,
            "bare socket, feed and flush, large buffers",
        ),
        ("sockudo-ws", "sockudo-ws", "plain", Plain, true, "send"),
        ("sockudo-ws-batched", "sockudo-ws", "batched", Tuned, true, "feed and flush"),
        ("web-socket", "web-socket", "plain", Plain, false, "on a buffered reader"),
        (
            "web-socket-corked",
            "web-socket",
            "corked",
            Tuned,
            false,
            "the same, writes gathered by hand",
        ),
    ]
    .into_iter()
    .map(Peer::of)
    .collect()
}

impl Peer {
    fn of((name, library, mode, rank, own_handshake, about): Row) -> Self {
        let source = Source::Cargo { library, mode };
        Self { name, rank, source, own_handshake, about }
    }

    /// Returns whether this is its name, or that of its library.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        name == self.name || name == self.library()
    }

    /// Returns whether it has compression.
    pub(crate) fn compresses(&self) -> bool {
        COMPRESSING.contains(&self.library())
    }

    /// Returns whether it represents its library: used as the documentation shows.
    pub(crate) fn is_plain(&self) -> bool {
        self.name == self.library()
    }

    fn library(&self) -> &'static str {
        match self.source {
            Source::Cargo { library, .. } | Source::Node { library } => library,
            Source::Given => self.name,
        }
    }

    /// Returns whether it echoes raw bytes, without a library.
    pub(crate) fn is_floor(&self) -> bool {
        self.rank == Rank::Floor
    }
}

impl Rank {
    /// Returns whether it is another Rust library.
    pub(crate) fn is_rust_peer(self) -> bool {
        matches!(self, Rank::Plain | Rank::Tuned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_stands_for_all_its_ways() {
        let called = |name: &str| all(None).iter().filter(|peer| peer.is_called(name)).count();
        assert_eq!(called("fastwebsockets"), 3);
        assert_eq!(called("fastwebsockets-direct"), 1);
        assert_eq!(called("tokio"), 0);
        assert_eq!(called("ws"), 1);
    }

    #[test]
    fn the_tables_for_frameworks_have_these_servers() {
        let names = |peers: Vec<Peer>| peers.iter().map(|peer| peer.name).collect::<Vec<_>>();
        assert_eq!(names(under_axum()), ["bare", "towline", "towline-axum", "axum"]);
        assert_eq!(names(over_http2()), ["towline-hyper", "towline-axum", "axum"]);
        assert_eq!(names(frameworks()), ["towline-axum", "axum", "towline-hyper"]);
    }

    #[test]
    fn the_tables_for_fan_out_have_a_floor_and_every_way_of_towline() {
        let peers = fanning_out(Some(Path::new("uws")));
        assert!(peers[0].is_floor());
        for peer in &peers {
            assert_eq!(peers.iter().filter(|other| other.name == peer.name).count(), 1);
        }
        assert_eq!(peers.iter().filter(|peer| peer.is_called("towline")).count(), 2);
        let foreign = peers.iter().filter(|peer| peer.rank == Rank::Foreign);
        assert_eq!(foreign.map(|peer| peer.name).collect::<Vec<_>>(), ["ws", "uWebSockets"]);
    }

    #[test]
    fn no_two_have_one_name() {
        let mut peers = all(Some(Path::new("uws")));
        peers.extend(frameworks());
        for peer in &peers {
            assert_eq!(peers.iter().filter(|other| other.name == peer.name).count(), 1);
        }
    }
}
