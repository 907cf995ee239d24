//! Instructions of the hot paths, counted by callgrind and compared with the committed baseline, so that
//! a busy machine shows regressions too.
//!
//! A path runs twice, the second time for twice as many operations; the difference excludes start and
//! end of the program.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::bench::building::build_package;
use crate::bench::machine::said;
use crate::workspace::Workspace;

const PROGRAM: &str = "towline-bench-instructions";

/// The tolerance above the baseline.
const TOLERANCE: f64 = 0.05;

/// What the counts depend on, besides the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Setting {
    rustc: String,
    target: String,
    /// Its allocator and its `memcpy` are in all counts.
    libc: String,
    /// Vector instructions that code selects at run time.
    avx2: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    setting: Setting,
    paths: Vec<Count>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Count {
    name: String,
    about: String,
    /// The instructions of one operation: a message, a handshake.
    instructions: f64,
}

/// The result of a comparison.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Held,
    /// The paths that are worse, or not in both.
    Broken(String),
    /// Why nothing can be compared.
    NotCompared(String),
    NoValgrind,
}

/// Counts, and writes the counts as the new baseline.
pub(crate) fn update(workspace: &Workspace) -> Result<Counts> {
    if !has_valgrind() {
        bail!("valgrind is not installed");
    }
    let counts = count(workspace)?;
    println!("{}", table(&counts));
    let path = baseline(workspace);
    let text = serde_json::to_string_pretty(&counts)? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))?;
    println!("written to {}", workspace.relative(&path).display());
    Ok(counts)
}

/// Counts, prints the counts with the baseline, and compares.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    if !has_valgrind() {
        return Ok(Verdict::NoValgrind);
    }
    let path = baseline(workspace);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let baseline: Counts =
        serde_json::from_str(&text).with_context(|| format!("cannot read {path:?}"))?;
    let setting = Setting::look()?;
    if setting != baseline.setting {
        let Setting { rustc, target, libc, avx2 } = baseline.setting;
        return Ok(Verdict::NotCompared(format!(
            "the baseline is of another machine or compiler ({rustc}, {target}, {libc}, AVX2: \
             {avx2}); `--update` makes one"
        )));
    }
    let counts = count(workspace)?;
    println!("{}", compared(&counts, &baseline));
    Ok(judge(&counts, &baseline))
}

fn baseline(workspace: &Workspace) -> PathBuf {
    workspace.root.join("docs").join("benchmarks").join("instructions.json")
}

fn has_valgrind() -> bool {
    said(Command::new("valgrind").arg("--version")).is_some()
}

impl Setting {
    fn look() -> Result<Self> {
        let verbose = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
        let verbose = String::from_utf8_lossy(&verbose.stdout).into_owned();
        let field = |name: &str| {
            let value = verbose.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_default().trim().to_owned()
        };
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Self {
            rustc: field("release:"),
            target: field("host:"),
            libc: said(Command::new("getconf").arg("GNU_LIBC_VERSION")).unwrap_or_default(),
            avx2: cpuinfo.split_whitespace().any(|flag| flag == "avx2"),
        })
    }
}

fn count(workspace: &Workspace) -> Result<Counts> {
    let sources = workspace.root.join("testing").join("bench");
    let target = workspace.target_directory.join("bench");
    build_package(&sources, &target, PROGRAM).context(PROGRAM)?;
    let program = target.join("release").join(PROGRAM);
    let listed = output(&mut Command::new(&program))?.0;
    let listed = listed.lines().map(Listed::parse).collect::<Result<Vec<_>>>()?;
    let queue = Mutex::new(listed.into_iter().enumerate().collect::<Vec<_>>());
    let counted = Mutex::new(Vec::new());
    // Other load does not change the counts, so the paths run in parallel.
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let Some((place, listed)) = locked(&queue).pop() else { return Ok(()) };
                let count = listed.count(&program)?;
                locked(&counted).push((place, count));
            }
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(_) => bail!("counting panicked"),
        })
    })?;
    let mut paths = std::mem::take(&mut *locked(&counted));
    paths.sort_by_key(|(place, _)| *place);
    Ok(Counts {
        setting: Setting::look()?,
        paths: paths.into_iter().map(|(_, count)| count).collect(),
    })
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A line of the program's list.
struct Listed {
    name: String,
    /// The number of repetitions.
    times: u64,
    about: String,
}

impl Listed {
    fn parse(line: &str) -> Result<Self> {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(times), Some(about)) = (words.next(), words.next(), words.next())
        else {
            bail!("cannot read {line:?}");
        };
        Ok(Self { name: name.to_owned(), times: times.parse()?, about: about.to_owned() })
    }

    fn count(self, program: &Path) -> Result<Count> {
        let Self { name, times, about } = self;
        let once = executed(program, &name, times)?;
        let twice = executed(program, &name, 2 * times)?;
        let instructions = per_time(once, twice, times)
            .with_context(|| format!("{name}: {once}, then {twice} instructions"))?;
        Ok(Count { name, about, instructions })
    }
}

/// Returns the number of instructions that the program executes.
fn executed(program: &Path, path: &str, times: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).args([path, "--times", &times.to_string()]);
    let said = output(&mut command)?.1;
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.with_context(|| format!("callgrind has no count for {path}:\n{said}"))
}

/// Returns what a command writes to stdout and stderr, if it succeeds.
fn output(command: &mut Command) -> Result<(String, String)> {
    let output = command.stdin(Stdio::null()).output().context("cannot start the command")?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{}: {complaint}", output.status);
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), complaint))
}

/// Rounds to a tenth of an instruction.
fn per_time(once: u64, twice: u64, times: u64) -> Option<f64> {
    let tenths = u32::try_from(twice.checked_sub(once)? * 10 / times.max(1)).ok()?;
    (tenths > 0).then(|| f64::from(tenths) / 10.0)
}

impl Counts {
    fn of(&self, name: &str) -> Option<&Count> {
        self.paths.iter().find(|count| count.name == name)
    }
}

fn judge(counts: &Counts, baseline: &Counts) -> Verdict {
    let mut broken = Vec::new();
    for count in &counts.paths {
        match baseline.of(&count.name) {
            Some(old) if change(old, count) > TOLERANCE => {
                broken.push(format!("{} {:+.1} %", count.name, change(old, count) * 100.0));
            }
            Some(_) => {}
            None => broken.push(format!("{} has no baseline", count.name)),
        }
    }
    let gone = baseline.paths.iter().filter(|old| counts.of(&old.name).is_none());
    broken.extend(gone.map(|old| format!("{} is gone", old.name)));
    if broken.is_empty() { Verdict::Held } else { Verdict::Broken(broken.join(", ")) }
}

fn change(old: &Count, new: &Count) -> f64 {
    new.instructions / old.instructions - 1.0
}

fn compared(counts: &Counts, baseline: &Counts) -> String {
    let mut text = format!("{:<24} {:>12} {:>12}\n", "instructions each", "now", "baseline");
    let mut better = false;
    for count in &counts.paths {
        let _ = write!(text, "{:<24} {:>12.1}", count.name, count.instructions);
        if let Some(old) = baseline.of(&count.name) {
            let change = change(old, count);
            better |= change < -TOLERANCE;
            let _ = write!(text, " {:>12.1} {:>+8.1} %", old.instructions, change * 100.0);
        }
        text.push('\n');
    }
    if better {
        text += "some are fewer than they were: `cargo xtask bench --instructions --update` \
                 keeps it so\n";
    }
    text
}

/// The table for the page.
pub(crate) fn table(counts: &Counts) -> String {
    let mut table = String::from("| instructions | each | |\n| --- | --- | --- |\n");
    for Count { name, about, instructions } in &counts.paths {
        let _ = writeln!(table, "| {name} | {instructions:.0} | {about} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(paths: &[(&str, f64)]) -> Counts {
        let count = |&(name, instructions): &(&str, f64)| Count {
            name: name.to_owned(),
            about: String::new(),
            instructions,
        };
        let [rustc, target, libc] = ["1.2", "a-b", "libc 1"].map(String::from);
        let setting = Setting { rustc, target, libc, avx2: true };
        Counts { setting, paths: paths.iter().map(count).collect() }
    }

    #[test]
    fn a_few_per_cent_are_no_regression() {
        let baseline = counts(&[("a", 100.0), ("b", 1000.0)]);
        assert_eq!(judge(&counts(&[("a", 104.0), ("b", 1.0)]), &baseline), Verdict::Held);
        let worse = judge(&counts(&[("a", 106.0), ("b", 1000.0)]), &baseline);
        assert_eq!(worse, Verdict::Broken("a +6.0 %".into()));
    }

    #[test]
    fn a_path_in_one_of_both_is_a_mistake() {
        let verdict = judge(&counts(&[("new", 1.0)]), &counts(&[("old", 1.0)]));
        assert_eq!(verdict, Verdict::Broken("new has no baseline, old is gone".into()));
    }

    #[test]
    fn an_improvement_is_told() {
        let text = compared(&counts(&[("a", 50.0)]), &counts(&[("a", 100.0)]));
        assert!(text.contains("-50.0 %") && text.contains("--update"), "{text}");
        assert!(!compared(&counts(&[("a", 99.0)]), &counts(&[("a", 100.0)])).contains("--update"));
    }

    #[test]
    fn what_starting_takes_is_left_out() {
        assert_eq!(per_time(1_000_500, 1_001_000, 10), Some(50.0));
        assert_eq!(per_time(5, 4, 1), None);
        assert_eq!(per_time(5, 5, 1), None);
    }
}
