//! `towline man`: manual pages.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::exit::{Exit, Failure};

/// Commands that can be tried, for `--help`.
const EXAMPLES: &str = "\
Examples:
  towline man > towline.1
  towline man pages";

/// Print the manual page of this program, or write a page for each command to a directory.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Write towline.1, towline-serve.1 and so on to this directory, which is created if it is missing
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints or writes the pages of this command line.
pub(crate) fn run(options: &Options, command: Command) -> Result<Exit, Failure> {
    let written = match &options.directory {
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|error| format!("can't write to {}: {error}", directory.display())),
        None => {
            let mut page = Vec::new();
            Man::new(command)
                .render(&mut page)
                .and_then(|()| io::stdout().lock().write_all(&page))
                .map_err(|error| format!("can't write: {error}"))
        }
    };
    written.map_err(|why| Failure::new(Exit::Unclean, why))?;
    Ok(Exit::Success)
}
