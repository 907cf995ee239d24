//! The number of threads of a server.

use serde::Serialize;

/// The threads of a server, and what they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Threads {
    One,
    /// Two workers of one runtime.
    Workers,
    /// Two threads, each with a runtime and a listening socket.
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

    /// Returns the arguments for its program.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Threads::One => &[],
            Threads::Workers => &["--threads=2"],
            Threads::Apart => &["--threads=2", "--apart"],
        }
    }
}
