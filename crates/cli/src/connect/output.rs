//! Where what is shown goes.

use crate::connect::printer::{Gone, Printer};
use crate::connect::view::{Shown, View};
use crate::say;

/// How much is said besides messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talkativeness {
    Quiet,
    Normal,
    Verbose,
}

/// Shows what happens. Clones show it in the same place.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) printer: Printer,
    pub(crate) view: View,
    pub(crate) talkativeness: Talkativeness,
}

impl Output {
    /// Shows it, or not.
    pub(crate) async fn show(&self, shown: Shown) -> Result<(), Gone> {
        match shown {
            Shown::Always(bytes) => self.printer.print(bytes).await,
            Shown::IfVerbose(_) if self.talkativeness < Talkativeness::Verbose => Ok(()),
            Shown::UnlessQuiet(_) if self.talkativeness < Talkativeness::Normal => Ok(()),
            Shown::IfVerbose(text) | Shown::UnlessQuiet(text) => self.note(&text).await,
        }
    }

    /// Says something to the user, where it does not get in the way of messages.
    pub(crate) async fn note(&self, text: &str) -> Result<(), Gone> {
        if let View::Prompt { .. } = self.view {
            let text = say::harmless(text, "");
            return self.printer.print(format!("{text}\n").into_bytes()).await;
        }
        say::note(text);
        Ok(())
    }
}
