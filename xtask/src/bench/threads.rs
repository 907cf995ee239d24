//! How many threads a server has.

use serde::Serialize;

/// How many threads a server has, and what they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Threads {
    One,
    /// Two that work for one runtime.
    Workers,
    /// Two with a runtime and a listening socket each.
    Apart,
}

impl Threads {
    pub(crate) fn about(self) -> &'static str {
        match self {
            Threads::One => "one thread",
            Threads::Workers => "two workers of one runtime",
            Threads::Apart => "two runtimes, one port",
        }
    }

    /// What its program is told.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Threads::One => &[],
            Threads::Workers => &["--threads=2"],
            Threads::Apart => &["--threads=2", "--apart"],
        }
    }
}
