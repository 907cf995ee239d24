//! A reader who types what the tutorial says.
//!
//! A command that goes on after it has printed what the page shows keeps running, as in a terminal of its
//! own, until the page runs the same command again.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::book::plan::{Action, Command};
use crate::book::process::Process;

/// How long a command may take, with what cargo builds for it.
const LONGEST: Duration = Duration::from_secs(900);

/// How long a command that has printed everything may take to end, before it counts as one that goes on.
const SOON: Duration = Duration::from_secs(2);

/// What is put in place of what a reader has: libraries, ports, and the environment.
#[derive(Default)]
pub(crate) struct Setting {
    /// The packages that come from this checkout, with their directories.
    pub(crate) packages: Vec<(String, PathBuf)>,
    /// The versions of all others.
    pub(crate) lock: Option<PathBuf>,
    /// Ports on the page, and the one in place of each.
    pub(crate) ports: Vec<(String, String)>,
    pub(crate) environment: Vec<(String, OsString)>,
}

pub(crate) struct Reader {
    setting: Setting,
    home: PathBuf,
    directory: PathBuf,
    /// Assignments of variables, which hold for the commands behind them.
    variables: String,
    running: Vec<(Command, Process)>,
}

impl Reader {
    /// A reader in an empty directory.
    pub(crate) fn new(setting: Setting, directory: PathBuf) -> Self {
        let home = directory.clone();
        Self { setting, home, directory, variables: String::new(), running: Vec::new() }
    }

    /// Does all that the page says, and stops what still runs at its end.
    pub(crate) fn follow(mut self, actions: &[Action]) -> Result<()> {
        for action in actions {
            match action {
                Action::Write { file, text } => self.write(file, text)?,
                Action::Run(command) => {
                    let place = || format!("line {}: {}", command.line, command.text);
                    self.run(command).with_context(place)?;
                }
            }
        }
        self.end()
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        println!("-- {file}");
        fs::write(&path, self.with_ports(text))
            .with_context(|| format!("cannot write {path:?}"))?;
        if path.ends_with("Cargo.toml") {
            self.use_this_checkout(text, &path.with_file_name("Cargo.lock"))?;
        }
        Ok(())
    }

    /// Makes cargo take our packages from here, and all others in the versions of the lock file.
    fn use_this_checkout(&self, manifest: &str, lock: &Path) -> Result<()> {
        let mut config = String::from("[patch.crates-io]\n");
        for (name, path) in &self.setting.packages {
            if manifest.lines().any(|line| line.starts_with(&format!("{name} = "))) {
                config += &format!("{name} = {{ path = '{}' }}\n", path.display());
            }
        }
        let directory = self.home.join(".cargo");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("config.toml"), config)?;
        match &self.setting.lock {
            Some(versions) if !lock.exists() => drop(fs::copy(versions, lock)?),
            _ => {}
        }
        Ok(())
    }

    fn run(&mut self, command: &Command) -> Result<()> {
        println!("$ {}", command.text);
        if let Some(directory) = command.text.strip_prefix("cd ") {
            self.directory.push(directory);
            return Ok(());
        }
        if is_assignment(&command.text) {
            self.variables += &format!("{}; ", command.text);
            return Ok(());
        }
        // As in the same terminal: Ctrl-C first.
        let same = self.running.iter().position(|(other, _)| other.text == command.text);
        if let Some((_, mut earlier)) = same.map(|place| self.running.remove(place)) {
            earlier.stop()?;
        }
        let mut process =
            Process::start(&mut self.shell(&format!("{}{}", self.variables, command.text)))?;
        if command.is_background {
            let status = process.wait(SOON, |_| false)?;
            return self.judge(command, process, status);
        }
        let shown = Command {
            expected: command.expected.iter().map(|line| self.with_ports(line)).collect(),
            ..command.clone()
        };
        let has_printed = |process: &Process| {
            !shown.expected.is_empty() && shown.missing(&process.printed()).is_empty()
        };
        let mut status = process.wait(LONGEST, has_printed)?;
        if status.is_none() && has_printed(&process) {
            status = process.wait(SOON, |_| false)?;
        }
        let missing = shown.missing(&process.printed()).join("\n    ");
        if !missing.is_empty() {
            bail!("it has not printed\n    {missing}");
        }
        if status.is_none() && shown.expected.is_empty() {
            bail!("it has not ended within {LONGEST:?}");
        }
        self.judge(command, process, status)
    }

    /// Keeps a command that goes on, and checks the status of one that has ended.
    fn judge(
        &mut self,
        command: &Command,
        process: Process,
        status: Option<ExitStatus>,
    ) -> Result<()> {
        match status {
            None => self.running.push((command.clone(), process)),
            Some(status) if command.is_background => bail!("it has ended: {status}"),
            Some(status) if status.success() == command.fails() => {
                bail!("it has ended with {status}")
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Stops what still runs, the last one first, since clients end with their server. What has ended before
    /// is an error.
    fn end(mut self) -> Result<()> {
        for (command, process) in &mut self.running {
            if let Some(status) = process.ended()? {
                bail!("line {}: {} has ended: {status}", command.line, command.text);
            }
        }
        while let Some((_, mut process)) = self.running.pop() {
            process.stop()?;
        }
        Ok(())
    }

    fn shell(&self, text: &str) -> Program {
        let mut shell = Program::new("sh");
        shell.arg("-c").arg(self.with_ports(text)).current_dir(&self.directory);
        shell.envs(self.setting.environment.iter().map(|(name, value)| (name, value)));
        shell
    }

    fn with_ports(&self, text: &str) -> String {
        let ports = self.setting.ports.iter();
        ports.fold(text.to_owned(), |text, (port, free)| text.replace(port, free))
    }
}

/// `NAME=value`, and nothing behind it.
fn is_assignment(text: &str) -> bool {
    let (name, value) = text.split_once('=').unwrap_or((" ", ""));
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_name && (!value.contains(' ') || value.starts_with('\'') && value.ends_with('\''))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::checking::TUTORIAL;
    use crate::book::page::Page;
    use crate::book::plan::plan;

    /// Follows a page in a directory of its own, with 1234 for 9001.
    fn follow(name: &str, text: &str) -> Result<(), String> {
        let directory = std::env::temp_dir().join(format!("towline-{}-{name}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let ports = vec![("9001".to_owned(), "1234".to_owned())];
        let page = Page::parse(TUTORIAL.into(), text.to_owned());
        let reader = Reader::new(Setting { ports, ..Setting::default() }, directory.clone());
        let followed = reader.follow(&plan(&page));
        fs::remove_dir_all(directory).unwrap();
        followed.map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn files_are_there_when_commands_run() {
        let text = "```console\n$ mkdir b\n$ cd b\n```\n<!-- file: a.txt -->\n```text\nport 9001\n```\n\
            ```console\n$ cat a.txt; test -e ../b/a.txt\nport 9001\n$ grep -q 1234 a.txt\n```\n";
        assert_eq!(follow("files", text), Ok(()));
    }

    #[test]
    fn variables_hold_for_later_commands() {
        let text =
            "```console\n$ A='b c'\n$ D=e\n$ echo $A $D\nb c e\n$ F=g sh -c 'echo $F'\ng\n```\n";
        assert_eq!(follow("variables", text), Ok(()));
    }

    #[test]
    fn what_is_not_printed_is_named() {
        let error = follow("printed", "```console\n$ echo b; echo a\na\nb\nc\n```\n").unwrap_err();
        assert_eq!(error, "line 2: echo b; echo a: it has not printed\n    c");
    }

    #[test]
    fn the_status_is_what_the_page_shows() {
        assert_eq!(follow("fails", "```console\n$ echo error: a; false\nerror: …\n```\n"), Ok(()));
        for text in ["$ false\n", "$ echo a; false\na\n", "$ echo error: a\nerror: a\n"] {
            let error = follow("status", &format!("```console\n{text}```\n")).unwrap_err();
            assert!(error.contains("it has ended with"), "{error}");
        }
    }

    #[test]
    fn a_server_runs_until_the_same_command_comes_again() {
        let serve = "$ echo $$ >> pids; echo ready; exec sleep 600\nready\n";
        let old_is_gone = "$ ! kill -0 $(head -1 pids)\n$ kill -0 $(tail -1 pids)\n";
        let text = format!("```console\n{serve}$ kill -0 $(cat pids)\n{serve}{old_is_gone}```\n");
        // A process that is gone makes `kill` print something.
        assert_eq!(follow("server", &text), Ok(()));
    }

    #[test]
    fn a_command_that_is_not_waited_for_has_to_go_on() {
        let error = follow("ended", "```console\n$ false &\n```\n").unwrap_err();
        assert!(error.starts_with("line 2: false: it has ended: "), "{error}");
    }

    #[test]
    fn the_last_one_is_stopped_first() {
        let log = std::env::temp_dir().join(format!("towline-{}-order.log", std::process::id()));
        let wait = |name: &str| {
            let log = log.display();
            let trap = format!("trap 'echo {name} >> {log}; exit' INT");
            format!("$ {trap}; echo {name}; while :; do sleep .1; done\n{name}\n")
        };
        assert_eq!(
            follow("order", &format!("```console\n{}{}```\n", wait("a"), wait("b"))),
            Ok(())
        );
        let order = fs::read_to_string(&log).unwrap();
        fs::remove_file(log).unwrap();
        assert_eq!(order, "b\na\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_server_that_ends_before_the_page_does_is_noticed() {
        let serve = "$ echo $$ > pid; echo ready; until test -e go; do sleep .1; done\nready\n";
        let end = "$ touch go; until grep -q ') Z' /proc/$(cat pid)/stat; do sleep .1; done\n";
        let error = follow("ended-later", &format!("```console\n{serve}{end}```\n")).unwrap_err();
        assert!(error.contains("has ended: exit status: 0"), "{error}");
    }
}
