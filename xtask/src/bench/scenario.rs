//! The loads of the echo measurements.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Binary,
    Text,
    Json,
    /// Text that compresses to a thousandth.
    Blank,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Binary => "binary",
            Kind::Text => "text",
            Kind::Json => "json",
            Kind::Blank => "blank",
        }
    }
}

/// Whether permessage-deflate is negotiated, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    Off,
    /// No context takeover in either direction.
    Alone,
    /// Context takeover in both directions.
    Takeover,
}

impl Compression {
    /// Returns the name in the tables.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Compression::Off => "no compression",
            Compression::Alone => "no context takeover",
            Compression::Takeover => "context takeover",
        }
    }

    /// Returns the arguments for servers and the load generator.
    pub(crate) fn arguments(self) -> Vec<String> {
        let arguments: &[&str] = match self {
            Compression::Off => &[],
            Compression::Alone => &["--compress"],
            Compression::Takeover => &["--compress", "--takeover"],
        };
        arguments.iter().map(|&argument| argument.to_owned()).collect()
    }
}

#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    pub(crate) in_flight: usize,
    pub(crate) compression: Compression,
    /// The goal for Towline, as a ratio to the bare echo.
    pub(crate) goal: Option<f64>,
}

const fn scenario(
    name: &'static str,
    (connections, size, kind, in_flight): (usize, usize, Kind, usize),
    goal: f64,
) -> Scenario {
    let (compression, goal) = (Compression::Off, Some(goal));
    Scenario { name, connections, size, kind, in_flight, compression, goal }
}

const fn compressed(name: &'static str, size: usize, compression: Compression) -> Scenario {
    let (connections, kind, in_flight) = (16, Kind::Json, 4);
    Scenario { name, connections, size, kind, in_flight, compression, goal: None }
}

pub(crate) const SCENARIOS: [Scenario; 16] = [
    scenario("32B-one", (64, 32, Kind::Binary, 1), 1.02),
    scenario("32B-flight", (64, 32, Kind::Binary, 64), 1.40),
    scenario("1KiB-flight", (64, 1 << 10, Kind::Binary, 16), 1.10),
    scenario("16KiB-binary", (16, 16 << 10, Kind::Binary, 8), 1.10),
    scenario("16KiB-text", (16, 16 << 10, Kind::Text, 8), 1.15),
    scenario("1MiB-binary", (8, 1 << 20, Kind::Binary, 2), 1.05),
    scenario("1MiB-text", (8, 1 << 20, Kind::Text, 2), 1.10),
    scenario("512B-many", (500, 512, Kind::Binary, 1), 0.97),
    compressed("json-100B", 100, Compression::Alone),
    compressed("json-1KiB", 1 << 10, Compression::Alone),
    compressed("json-4KiB", 4 << 10, Compression::Alone),
    compressed("json-64KiB", 64 << 10, Compression::Alone),
    compressed("json-takeover-100B", 100, Compression::Takeover),
    compressed("json-takeover-1KiB", 1 << 10, Compression::Takeover),
    compressed("json-takeover-4KiB", 4 << 10, Compression::Takeover),
    compressed("json-takeover-64KiB", 64 << 10, Compression::Takeover),
];

impl Scenario {
    pub(crate) fn is_compressed(&self) -> bool {
        self.compression != Compression::Off
    }

    /// Returns the name in the tables.
    pub(crate) fn about(&self) -> String {
        let Self { connections, kind, in_flight, .. } = self;
        let flight = match in_flight {
            1 => "one at a time".to_owned(),
            in_flight => format!("{in_flight} in flight"),
        };
        let kind = match self.compression {
            Compression::Off => kind.name().to_owned(),
            compression => format!("JSON, {}", compression.about()),
        };
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
        assert_eq!(SCENARIOS[9].about(), "16 × 1 KiB JSON, no context takeover, 4 in flight");
    }
}
