//! `towline completions`: scripts that complete options in a shell.

use std::io::{self, Write as _};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::{Exit, Failure};

/// Commands that can be tried, for `--help`.
const EXAMPLES: &str = "\
Examples:
  towline completions bash > towline.bash
  towline completions zsh > _towline
  towline completions fish > towline.fish

Where a shell looks for them:
  bash        ~/.local/share/bash-completion/completions/towline
  zsh         _towline in a directory of $fpath
  fish        ~/.config/fish/completions/towline.fish
  powershell  the file that $PROFILE names, appended
  elvish      ~/.config/elvish/rc.elv, appended";

/// Print a script that completes commands and options in a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The shell
    shell: Shell,
}

/// Prints the script for this command line.
pub(crate) fn run(options: &Options, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "towline", &mut script);
    let written = io::stdout().lock().write_all(&script);
    written.map_err(|error| Failure::new(Exit::Unclean, format!("can't write: {error}")))?;
    Ok(Exit::Success)
}
