//! `towline completions`: scripts that complete options in a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::{Exit, Failure};
use crate::say;

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
    say::print(&script);
    Ok(Exit::Success)
}
