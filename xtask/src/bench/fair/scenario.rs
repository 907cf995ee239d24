//! The scenarios: what the one connection does.

use crate::bench::peer::{Peer, Rank};
use crate::bench::scenario::{Compression, Kind};

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The name in the table; `{held}` is the number of other connections.
    pub(crate) about: &'static str,
    /// The name for the load generator.
    pub(crate) greed: &'static str,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    pub(crate) compression: Compression,
    /// The number of other open connections.
    pub(crate) held: usize,
    /// Whether the server pings them halfway through.
    pub(crate) asks: bool,
    /// Whether an echo server is enough. Otherwise the server needs code for it.
    is_plain: bool,
}

const NOTHING: Scenario = Scenario {
    name: "quiet",
    about: "nothing",
    greed: "none",
    size: 32,
    kind: Kind::Binary,
    compression: Compression::Off,
    held: 0,
    asks: false,
    is_plain: true,
};

const fn sends(name: &'static str, about: &'static str, size: usize) -> Scenario {
    Scenario { name, about, greed: "flood", size, ..NOTHING }
}

const fn packs(name: &'static str, about: &'static str, size: usize, kind: Kind) -> Scenario {
    let compression = Compression::Alone;
    Scenario { name, about, greed: "flood", size, kind, compression, is_plain: false, ..NOTHING }
}

const fn has(
    name: &'static str,
    about: &'static str,
    greed: &'static str,
    held: usize,
) -> Scenario {
    Scenario { name, about, greed, held, is_plain: false, ..NOTHING }
}

pub(crate) const SCENARIOS: [Scenario; 12] = [
    NOTHING,
    sends("small", "sends 100 B, as fast as it can", 100),
    sends("large", "sends 1 MiB, as fast as it can", 1 << 20),
    Scenario { greed: "unread", ..sends("unread", "sends 16 KiB, and never reads", 16 << 10) },
    Scenario { greed: "fragments", ..sends("fragments", "sends empty fragments", 0) },
    packs("packed-1MiB", "sends 1 MiB packed in 1 KiB", 1 << 20, Kind::Blank),
    packs("packed-64KiB", "sends 64 KiB packed in 90 B", 64 << 10, Kind::Blank),
    packs("json", "sends 4 KiB of JSON, compressed", 4 << 10, Kind::Json),
    has("push", "is sent 1 KiB in a loop", "push", 0),
    has("broadcast", "has 100 B broadcast in a loop, to {held}", "broadcast", 3000),
    Scenario {
        asks: true,
        ..has("keepalive", "nothing, but {held} are pinged at once", "keepalive", 20_000)
    },
    has("held", "nothing, but {held} are open", "none", 20_000),
];

impl Scenario {
    /// Returns whether this server can be measured in it.
    pub(crate) fn suits(&self, peer: &Peer) -> bool {
        self.is_plain || peer.rank == Rank::Towline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peer;

    #[test]
    fn no_two_have_one_name() {
        for Scenario { name, .. } in &SCENARIOS {
            assert_eq!(SCENARIOS.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }

    #[test]
    fn what_needs_a_server_made_for_it_is_for_towline() {
        let peers = peer::all(None);
        let suited = |name: &str| {
            let peer = peers.iter().find(|peer| peer.name == name).unwrap();
            SCENARIOS.iter().filter(|scenario| scenario.suits(peer)).count()
        };
        assert_eq!((suited("towline"), suited("tokio-tungstenite")), (12, 5));
    }
}
