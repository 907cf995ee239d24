//! `towline completions`: scripts that complete options in a shell.

use clap::{Arg, Args, Command, ValueHint};
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
pub(crate) fn run(options: &Options, command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut command = completed(command);
    clap_complete::generate(options.shell, &mut command, "towline", &mut script);
    if options.shell == Shell::Bash {
        let text = String::from_utf8_lossy(&script).replacen(BEGIN, &format!("{BEGIN}{EXEC}"), 1);
        script = text.into_bytes();
    }
    say::print(&script);
    Ok(Exit::Success)
}

/// Where the function of bash begins.
const BEGIN: &str = "    COMPREPLY=()\n";

/// What follows `--exec` is a command, and no option of this program.
const EXEC: &str = r#"    local at
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ${COMP_WORDS[at]} == --exec ]]; then
            local kind=-f
            ((at == COMP_CWORD - 1)) && kind=-c
            COMPREPLY=( $(compgen $kind -- "$2") )
            return 0
        fi
    done
"#;

/// The command line as it is completed: options without a command are those of `serve`, and a value is no
/// file unless the option is for one.
fn completed(command: Command) -> Command {
    let serve = command.find_subcommand("serve");
    let own: Vec<_> =
        serve.map(|serve| serve.get_arguments().cloned().collect()).unwrap_or_default();
    let no_file = |argument: Arg| match argument.get_value_hint() {
        ValueHint::Unknown if argument.get_action().takes_values() => {
            argument.value_hint(ValueHint::Other)
        }
        _ => argument,
    };
    command.args(own).mut_args(no_file).mut_subcommands(|command| command.mut_args(no_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_serve_need_no_command_and_only_files_are_files() {
        let serve = Command::new("serve").args([
            Arg::new("listen").long("listen"),
            Arg::new("nagle").long("nagle").action(clap::ArgAction::SetTrue),
            Arg::new("cert").long("cert").value_hint(ValueHint::FilePath),
        ]);
        let command = completed(Command::new("towline").subcommand(serve));
        let hints = |command: &Command| -> Vec<ValueHint> {
            command.get_arguments().map(Arg::get_value_hint).collect()
        };
        let expected = [ValueHint::Other, ValueHint::Unknown, ValueHint::FilePath];
        assert_eq!(hints(&command), expected);
        assert_eq!(hints(command.find_subcommand("serve").unwrap()), expected);
    }
}
