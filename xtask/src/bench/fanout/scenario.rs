//! The scenarios: how many members there are, and what is published to them.

use crate::bench::peer::{Peer, TOWLINE_TO_ALL};
use crate::bench::scenario::{Compression, Kind};

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The name in the tables; `{members}` is the number of members of each topic.
    pub(crate) about: &'static str,
    pub(crate) topics: usize,
    pub(crate) members: usize,
    /// The number of messages that are published together.
    pub(crate) burst: usize,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    pub(crate) compression: Compression,
    /// Whether there is one more member, which never reads.
    pub(crate) stalled: bool,
}

const ONE: Scenario = Scenario {
    name: "fanout-one",
    about: "{members}, one message at a time",
    topics: 1,
    members: 1000,
    burst: 1,
    size: 128,
    kind: Kind::Text,
    compression: Compression::Off,
    stalled: false,
};

/// The scenario with a member that never reads is compared with the first.
pub(crate) const SCENARIOS: [Scenario; 6] = [
    ONE,
    Scenario { name: "fanout-burst", about: "{members}, bursts of 50", burst: 50, ..ONE },
    Scenario { name: "fanout-many", members: 10_000, ..ONE },
    Scenario {
        name: "fanout-topics",
        about: "100 topics × {members}, all publishing",
        topics: 100,
        members: 100,
        ..ONE
    },
    Scenario {
        name: "fanout-json",
        about: "{members}, 4 KiB of JSON, compressed",
        size: 4 << 10,
        kind: Kind::Json,
        compression: Compression::Alone,
        ..ONE
    },
    Scenario {
        name: "fanout-stalled",
        about: "{members} and one that never reads",
        stalled: true,
        ..ONE
    },
];

impl Scenario {
    /// Returns whether this server can be measured in it.
    pub(crate) fn suits(&self, peer: &Peer) -> bool {
        let has_topics = self.topics == 1 || peer.name != TOWLINE_TO_ALL;
        has_topics && (self.compression == Compression::Off || peer.compresses())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bench::peer;

    #[test]
    fn no_two_have_one_name() {
        for Scenario { name, .. } in &SCENARIOS {
            assert_eq!(SCENARIOS.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_server_is_measured_in_what_it_has() {
        let peers = peer::fanning_out(Some(Path::new("uws")));
        let suited = |name: &str| {
            let peer = peers.iter().find(|peer| peer.name == name).unwrap();
            let suited = SCENARIOS.iter().filter(|scenario| scenario.suits(peer));
            suited.map(|scenario| scenario.name).collect::<Vec<_>>()
        };
        for name in ["bare", "towline-topics", "ws", "uWebSockets"] {
            assert_eq!(suited(name).len(), SCENARIOS.len(), "{name}");
        }
        for name in ["tokio-tungstenite", "fastwebsockets", "axum"] {
            assert!(!suited(name).contains(&"fanout-json"), "{name}");
        }
        assert!(!suited("towline-broadcast").contains(&"fanout-topics"));
    }
}
