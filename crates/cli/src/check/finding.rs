//! What a check found: a line of the report.

use std::time::Duration;

use serde_json::{Value, json};

/// How good it is. The order is that of the verdict: the worst line decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The check could not be made; the line says why.
    Unseen,
    Ok,
    /// Good to know, and no reason to change anything.
    Note,
    /// Allowed or common, and a cause of trouble.
    Warning,
    /// A violation of an RFC, or something that does not work.
    Fault,
}

impl Level {
    /// The word for it, in text and in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unseen => "not seen",
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The name of the check, which programs may rely on: `ping`, `origin-foreign`.
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    /// What was seen. It may have text from the peer.
    pub(crate) seen: String,
    /// The section that says what is right, if there is one: `RFC 6455, section 5.5.2`.
    pub(crate) rfc: Option<&'static str>,
    pub(crate) advice: Option<String>,
    /// Values for programs, such as `{"round_trip_ms": 0.2}`.
    pub(crate) values: Value,
}

impl Finding {
    fn new(level: Level, check: &'static str, seen: impl Into<String>) -> Self {
        let (rfc, advice, values) = (None, None, Value::Null);
        Self { check, level, seen: seen.into(), rfc, advice, values }
    }

    pub(crate) fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Ok, check, seen)
    }

    pub(crate) fn note(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Note, check, seen)
    }

    pub(crate) fn warning(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Warning, check, seen)
    }

    pub(crate) fn fault(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Fault, check, seen)
    }

    pub(crate) fn unseen(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(Level::Unseen, check, why)
    }

    /// Names the section that says what is right.
    pub(crate) fn rfc(mut self, section: &'static str) -> Self {
        self.rfc = Some(section);
        self
    }

    /// Adds what to do about it.
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds values for programs.
    pub(crate) fn values(mut self, values: Value) -> Self {
        self.values = values;
        self
    }

    /// The line for programs.
    pub(crate) fn json(&self) -> Value {
        let mut line = json!({
            "check": self.check, "level": self.level.word(), "seen": self.seen,
            "rfc": self.rfc, "advice": self.advice,
        });
        if !self.values.is_null() {
            line["values"] = self.values.clone();
        }
        line
    }
}

/// A time in milliseconds, to the microsecond.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
