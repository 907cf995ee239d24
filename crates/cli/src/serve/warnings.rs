//! What the libraries warn of and no caller receives, such as that no connection can be accepted. It is shown
//! with and without `--verbose`. The libraries limit how often they warn.

use std::fmt::{self, Write as _};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};

use crate::quantity::counted;
use crate::say;
use crate::serve::live::Live;

/// Shows warnings from now on. `live` knows how many connections there are.
pub(crate) fn show(live: Live) {
    // It fails if they are shown already.
    let _ = set_global_default(Warnings { live, hint: Once::new() });
}

/// What the system says when no descriptor is left: for the process (EMFILE), or for all (ENFILE).
#[cfg(unix)]
const NO_DESCRIPTOR: [&str; 2] = ["(os error 24)", "(os error 23)"];
#[cfg(not(unix))]
const NO_DESCRIPTOR: [&str; 0] = [];

/// Writes the warnings of Towline's crates to the log.
struct Warnings {
    live: Live,
    /// What to do is said once.
    hint: Once,
}

impl Warnings {
    /// What helps when there is no descriptor for a connection.
    fn help(&self, line: &mut Line) {
        if !NO_DESCRIPTOR.iter().any(|error| line.fields.contains(error)) {
            return;
        }
        let open = counted(self.live.open() as u64, "connection");
        // Writing to a string does not fail.
        let _ = write!(line.fields, ", with {open} open");
        self.hint.call_once(|| {
            line.fields += "; each takes a descriptor: raise the limit (ulimit -n; LimitNOFILE= of systemd), or \
                            refuse some clients (--max-connections)";
        });
    }
}

impl Subscriber for Warnings {
    // What is not shown costs nothing.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_warning = metadata.is_event() && *metadata.level() <= Level::WARN;
        is_warning && metadata.target().starts_with("towline")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.help(&mut line);
        say::log(format_args!("warning: {}{}", line.message, line.fields));
    }

    // There are no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A warning, and what belongs to it.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }
}
