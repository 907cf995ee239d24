//! `towline man`: manual pages.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::exit::{Exit, Failure};
use crate::say;

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
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let written = match &options.directory {
        Some(directory) if directory.exists() && !directory.is_dir() => {
            let message = format!("{} is not a directory", directory.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        Some(directory) => write_all(&command, directory)
            .map_err(|error| format!("can't write to {}: {error}", directory.display())),
        None => page(&Man::new(command))
            .map(|page| say::print(page.as_bytes()))
            .map_err(|error| format!("can't render the page: {error}")),
    };
    written.map_err(|why| Failure::new(Exit::Unclean, why))?;
    Ok(Exit::Success)
}

fn write_all(command: &Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for command in [command].into_iter().chain(command.get_subcommands()) {
        let man = Man::new(command.clone());
        std::fs::write(directory.join(man.get_filename()), page(&man)?)?;
    }
    Ok(())
}

fn page(man: &Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(in_sections(&String::from_utf8_lossy(&page)))
}

/// What stands behind the options in the help has no section of its own in the generated page. Gives it
/// those that manual pages have. Lists stay lists: they are not filled to paragraphs.
fn in_sections(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 64);
    let mut is_extra = false;
    let mut is_list = false;
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let section = match line {
            ".SH EXTRA" => {
                is_extra = true;
                let is_text = lines.peek().is_some_and(|next| !next.ends_with(':'));
                is_text.then_some((".SH DETAILS", false))
            }
            "Exit codes:" if is_extra => Some((".SH EXIT STATUS", true)),
            "Examples:" if is_extra => Some((".SH EXAMPLES", true)),
            _ if line.starts_with(".SH ") => Some((line, false)),
            _ => {
                out.push_str(line);
                out.push('\n');
                continue;
            }
        };
        let Some((heading, begins_list)) = section else { continue };
        if is_list {
            out.push_str(".fi\n");
        }
        is_list = begins_list;
        is_extra &= line == ".SH EXTRA" || !line.starts_with(".SH ");
        out.push_str(heading);
        out.push_str(if is_list { "\n.nf\n" } else { "\n" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_help_becomes_sections() {
        let page = ".SH OPTIONS\nExamples:\n.SH EXTRA\nText.\n\nExit codes:\n  0  fine\n\nExamples:\n  \
                    a\n.SH VERSION\nExamples:\n";
        let expected = ".SH OPTIONS\nExamples:\n.SH DETAILS\nText.\n\n.SH EXIT STATUS\n.nf\n  0  fine\n\n\
                        .fi\n.SH EXAMPLES\n.nf\n  a\n.fi\n.SH VERSION\nExamples:\n";
        assert_eq!(in_sections(page), expected);
        let page = ".SH EXTRA\nExamples:\n  a\n";
        assert_eq!(in_sections(page), ".SH EXAMPLES\n.nf\n  a\n");
    }
}
