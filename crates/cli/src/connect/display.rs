//! The options for what is shown, and how.

use std::path::PathBuf;

use clap::Args;

use crate::connect::binary::Form;
use crate::connect::clock::Kind;
use crate::connect::look::Look;
use crate::screen::{Paint, When};

/// The options for what is shown, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Display")]
pub(crate) struct Display {
    /// Use colours; auto uses them on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, value_name = "WHEN", default_value = "auto", alias = "colour")]
    pub(crate) color: When,

    /// Show the time of each event: absolute (in UTC) or relative, in seconds since the program began
    /// to connect [default: no time; absolute without a kind]
    #[arg(
        long,
        value_name = "KIND",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "absolute",
    )]
    pub(crate) time: Option<Kind>,

    /// Show long messages whole above the prompt, instead of their first 20 rows. Without it, /show
    /// shows a message whole
    #[arg(long)]
    whole: bool,

    /// Show binary messages like this [default: summary on a terminal, otherwise raw]
    #[arg(long, value_name = "FORM", conflicts_with_all = ["binary", "json", "save"])]
    pub(crate) show_binary: Option<Form>,

    /// Write each received binary message to a new file in this directory, named by a number, and show
    /// the file's path in place of the message
    #[arg(long, value_name = "DIR", conflicts_with = "binary")]
    pub(crate) save: Option<PathBuf>,

    /// Show credentials and cookies in the headers of --verbose and --json, tokens in the place of
    /// subprotocols, and the query of the URL and of redirects
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

impl Display {
    /// How messages look above a prompt.
    pub(crate) fn look_at_prompt(&self) -> Look {
        Look { is_folded: !self.whole, ..self.look() }
    }

    /// How messages look on a terminal without a prompt.
    pub(crate) fn look(&self) -> Look {
        Look {
            paint: Paint { in_colour: self.color.is_on() },
            is_folded: false,
            binary: self.show_binary.unwrap_or(Form::Summary),
        }
    }
}
