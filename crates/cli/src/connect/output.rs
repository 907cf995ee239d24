//! Where output goes.

use std::sync::Arc;

use crate::connect::binary::Saving;
use crate::connect::clock::Times;
use crate::connect::comparison::Comparison;
use crate::connect::kept::Kept;
use crate::connect::printer::{Gone, Printer};
use crate::connect::recorder::Recorder;
use crate::connect::topical::Topical;
use crate::connect::view::{Shown, View};
use crate::say;

/// How much to print besides messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talkativeness {
    Quiet,
    Normal,
    Verbose,
}

/// Prints events. Clones print to the same place.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) printer: Printer,
    pub(crate) view: View,
    pub(crate) talkativeness: Talkativeness,
    pub(crate) topical: Topical,
    /// Whether and how to show the times of events.
    pub(crate) times: Option<Times>,
    /// What was received last.
    pub(crate) kept: Arc<Kept>,
    /// Where binary messages are saved.
    pub(crate) saving: Option<Saving>,
    pub(crate) recorder: Option<Recorder>,
    /// What the server is expected to say.
    pub(crate) comparison: Option<Arc<Comparison>>,
}

impl Output {
    /// Prints an event, if it is wanted.
    pub(crate) async fn show(&self, shown: Shown) -> Result<(), Gone> {
        let shown = match &self.times {
            Some(times) => self.view.timed(shown, times),
            None => shown,
        };
        match shown {
            Shown::Always(bytes) => self.printer.print(bytes).await,
            Shown::IfVerbose(_) if self.talkativeness < Talkativeness::Verbose => Ok(()),
            Shown::UnlessQuiet(_) if self.talkativeness < Talkativeness::Normal => Ok(()),
            Shown::IfVerbose(text) | Shown::UnlessQuiet(text) => self.note(&text).await,
        }
    }

    /// Prints a note for the user, where it is not mixed with messages.
    pub(crate) async fn note(&self, text: &str) -> Result<(), Gone> {
        if let View::Prompt(_) = self.view {
            let text = say::harmless(text, "");
            return self.printer.print(format!("{text}\n").into_bytes()).await;
        }
        say::note(text);
        Ok(())
    }
}
