//! The loads that an echo is measured under.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Binary,
    Text,
    Json,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Binary => "binary",
            Kind::Text => "text",
            Kind::Json => "json",
        }
    }
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    pub(crate) in_flight: usize,
    /// Whether permessage-deflate is negotiated.
    pub(crate) compressed: bool,
    /// What Towline shall take, in ratio to the bare echo.
    pub(crate) goal: Option<f64>,
}

const fn scenario(
    name: &'static str,
    (connections, size, kind, in_flight): (usize, usize, Kind, usize),
    goal: f64,
) -> Scenario {
    Scenario { name, connections, size, kind, in_flight, compressed: false, goal: Some(goal) }
}

/// Each message compressed for itself, so that there is no history to keep and the load can be
/// built before.
const fn compressed(name: &'static str, size: usize) -> Scenario {
    let kind = Kind::Json;
    Scenario { name, connections: 16, size, kind, in_flight: 4, compressed: true, goal: None }
}

pub(crate) const SCENARIOS: [Scenario; 12] = [
    scenario("32B-one", (64, 32, Kind::Binary, 1), 1.02),
    scenario("32B-flight", (64, 32, Kind::Binary, 64), 1.40),
    scenario("1KiB-flight", (64, 1 << 10, Kind::Binary, 16), 1.10),
    scenario("16KiB-binary", (16, 16 << 10, Kind::Binary, 8), 1.10),
    scenario("16KiB-text", (16, 16 << 10, Kind::Text, 8), 1.15),
    scenario("1MiB-binary", (8, 1 << 20, Kind::Binary, 2), 1.05),
    scenario("1MiB-text", (8, 1 << 20, Kind::Text, 2), 1.10),
    scenario("512B-many", (500, 512, Kind::Binary, 1), 0.97),
    compressed("json-100B", 100),
    compressed("json-1KiB", 1 << 10),
    compressed("json-4KiB", 4 << 10),
    compressed("json-64KiB", 64 << 10),
];

impl Scenario {
    /// Whether it is part of a run for which none were named.
    pub(crate) fn is_usual(&self) -> bool {
        !self.compressed
    }

    /// As it stands in the tables.
    pub(crate) fn about(&self) -> String {
        let Self { connections, kind, in_flight, .. } = self;
        let flight = match in_flight {
            1 => "one at a time".to_owned(),
            in_flight => format!("{in_flight} in flight"),
        };
        let kind = if *kind == Kind::Json { "JSON, compressed" } else { kind.name() };
        format!("{connections} × {} {kind}, {flight}", size(self.size))
    }
}

pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_says_what_it_is() {
        assert_eq!(SCENARIOS[0].about(), "64 × 32 B binary, one at a time");
        assert_eq!(SCENARIOS[6].about(), "8 × 1 MiB text, 2 in flight");
        assert_eq!(SCENARIOS[9].about(), "16 × 1 KiB JSON, compressed, 4 in flight");
    }
}
