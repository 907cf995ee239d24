//! What a reader of the tutorial does: write files, and run commands.

use std::path::Path;

use crate::book::checking::TUTORIAL;
use crate::book::page::{Block, Page};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A block behind `<!-- file: PATH -->`.
    Write {
        file: String,
        text: String,
    },
    Run(Command),
}

/// A line of a `console` block that begins with a prompt, and the lines behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Whether it ends in `&`: it is not waited for.
    pub(crate) is_background: bool,
    /// The lines that it prints, with `…` for what can differ.
    pub(crate) expected: Vec<String>,
}

impl Command {
    /// Returns whether the page shows that it fails.
    pub(crate) fn fails(&self) -> bool {
        self.expected.iter().any(|line| line.starts_with("error"))
    }

    /// Returns the expected lines that are not among those printed. The order makes no difference.
    pub(crate) fn missing<'s>(&'s self, printed: &[String]) -> Vec<&'s str> {
        let lines = self.expected.iter().map(String::as_str);
        lines.filter(|line| !printed.iter().any(|other| matches(line, other))).collect()
    }
}

/// Returns whether a printed line has the parts of an expected one, in their order.
fn matches(expected: &str, printed: &str) -> bool {
    let mut rest = printed;
    expected.split('…').map(str::trim).all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Returns what the page says to do, in its order: everything on the tutorial, and what is marked on other
/// pages.
pub(crate) fn plan(page: &Page) -> Vec<Action> {
    let is_all = page.path == Path::new(TUTORIAL);
    let mut actions = Vec::new();
    for block in &page.blocks {
        match &block.file {
            Some(file) if is_all || block.is_run => {
                actions.push(Action::Write { file: file.clone(), text: block.text.clone() });
            }
            None if block.info == "console" && (is_all || block.is_run) => {
                actions.extend(commands(block).map(Action::Run));
            }
            _ => {}
        }
    }
    actions
}

fn commands(block: &Block) -> impl Iterator<Item = Command> {
    let mut commands = Vec::<Command>::new();
    for (index, line) in block.text.lines().enumerate() {
        if let Some(text) = line.strip_prefix("$ ") {
            let background = text.strip_suffix(" &");
            commands.push(Command {
                line: block.line + 1 + index,
                text: background.unwrap_or(text).to_owned(),
                is_background: background.is_some(),
                expected: Vec::new(),
            });
        } else if let Some(command) = commands.last_mut() {
            if let Some(begun) = command.text.strip_suffix('\\') {
                command.text = begun.to_owned() + line.trim_start();
                continue;
            }
            command.expected.push(line.trim().to_owned());
        }
    }
    commands.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands_come_in_the_order_of_the_page() {
        let text = "<!-- file: a.rs -->\n```rust\nA\n```\n```console\n$ b c\nd …\n$ e &\n```\n```rust\nF\n```\n";
        let page = Page::parse("docs/tutorial.md".into(), text.to_owned());
        let command = |line, text: &str, is_background, expected: &[&str]| {
            let expected = expected.iter().map(|line| (*line).to_owned()).collect();
            Action::Run(Command { line, text: text.to_owned(), is_background, expected })
        };
        assert_eq!(
            plan(&page),
            [
                Action::Write { file: "a.rs".to_owned(), text: "A\n".to_owned() },
                command(6, "b c", false, &["d …"]),
                command(8, "e", true, &[]),
            ]
        );
    }

    #[test]
    fn a_backslash_continues_a_command() {
        let page = Page::parse(
            TUTORIAL.into(),
            "```console\n$ a \\\n    b \\\n    c\nd\n```\n".to_owned(),
        );
        let [Action::Run(command)] = &plan(&page)[..] else { panic!() };
        assert_eq!((&command.text[..], &command.expected[..]), ("a b c", &["d".to_owned()][..]));
    }

    #[test]
    fn on_other_pages_only_marked_blocks_are_run() {
        let text =
            "```console\n$ a\n```\n<!-- run -->\n```console\n$ b\n```\n```console\n$ c\n```\n";
        let page = Page::parse("docs/a.md".into(), text.to_owned());
        let [Action::Run(command)] = &plan(&page)[..] else { panic!() };
        assert_eq!(command.text, "b");
    }

    #[test]
    fn an_ellipsis_stands_for_anything() {
        assert!(matches(
            "error: … 400 … name",
            "error: the status is 400 Bad Request, name has to"
        ));
        assert!(!matches(
            "error: … name … 400",
            "error: the status is 400 Bad Request, name has to"
        ));
        assert!(matches("a", "a b"));
    }

    #[test]
    fn a_command_fails_if_the_page_shows_an_error() {
        let page =
            Page::parse(TUTORIAL.into(), "```console\n$ a\nerror: …\n$ b\nok\n```\n".to_owned());
        let fails = plan(&page).into_iter().map(|action| match action {
            Action::Run(command) => command.fails(),
            Action::Write { .. } => unreachable!(),
        });
        assert_eq!(fails.collect::<Vec<_>>(), [true, false]);
    }
}
