//! The machine and the versions of a measurement.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The load average of the last minute at the start, since other programs distort the numbers.
    pub(crate) load_average: f64,
    pub(crate) date: String,
    pub(crate) rustc: String,
    /// The flags of the compiler, if any were set.
    pub(crate) flags: String,
    /// The versions of the libraries.
    pub(crate) versions: BTreeMap<String, String>,
}

/// The packages of the lock file to list.
const NAMED: [&str; 12] = [
    "axum",
    "fastwebsockets",
    "h2",
    "hyper",
    "rustls",
    "sockudo-ws",
    "tokio",
    "tokio-rustls",
    "tokio-tungstenite",
    "tokio-websockets",
    "web-socket",
    "yawc",
];

impl Machine {
    pub(crate) fn look(workspace: &Workspace, uws: Option<&Path>) -> Result<Self> {
        let bench = workspace.root.join("testing").join("bench");
        let mut versions = locked(&bench.join("Cargo.lock"))?;
        versions.extend(node(&bench.join("node").join("package.json")));
        versions.insert("towline".into(), towline(workspace));
        if let Some(said) = uws.and_then(|program| said(Command::new(program).arg("--version"))) {
            versions.insert("uWebSockets".into(), said);
        }
        let uptime = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: format!("Linux {}", numbers(&kernel)),
            load_average: uptime
                .split(' ')
                .next()
                .and_then(|first| first.parse().ok())
                .unwrap_or(0.0),
            date: said(Command::new("date").args(["--utc", "+%Y-%m-%d"])).unwrap_or_default(),
            rustc: said(Command::new("rustc").arg("--version")).unwrap_or_default(),
            flags: std::env::var("RUSTFLAGS").unwrap_or_default(),
            versions,
        })
    }
}

/// The processor time of all processors and of this program, in ticks.
pub(crate) struct Watch {
    ticks: Option<Ticks>,
}

#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    idle: u64,
    /// Of this process and its children that have ended.
    own: u64,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { ticks: Ticks::look() }
    }

    /// Returns the share of all processors that other programs used since then.
    pub(crate) fn others(&self) -> Option<f64> {
        self.ticks.zip(Ticks::look()).and_then(|(first, last)| last.others_since(first))
    }
}

impl Ticks {
    fn look() -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        Self::parse(&stat, &own)
    }

    fn parse(stat: &str, own: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let all: Vec<u64> = line.split_whitespace().take(8).flat_map(str::parse).collect();
        // utime, stime, cutime, cstime: the 14th field and those after it.
        let own = own.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
        let own = own.flat_map(str::parse::<u64>).sum();
        Some(Self { all: all.iter().sum(), idle: all.get(3)? + all.get(4)?, own })
    }

    fn others_since(self, first: Self) -> Option<f64> {
        let all = u32::try_from(self.all.checked_sub(first.all)?).ok().filter(|all| *all > 0)?;
        let used = (self.idle.saturating_sub(first.idle)) + (self.own.saturating_sub(first.own));
        let others = all.saturating_sub(u32::try_from(used).ok()?);
        Some(f64::from(others) / f64::from(all))
    }
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown").to_owned()
}

/// Returns the version without the suffix of a distribution.
fn numbers(release: &str) -> &str {
    let end = release.find(|char: char| char != '.' && !char.is_ascii_digit());
    &release[..end.unwrap_or(release.len())]
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

fn locked(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
    versions(&text).with_context(|| format!("cannot read {path:?}"))
}

/// The named packages of a lock file. Of some there are two versions: axum has its own tokio-tungstenite.
fn versions(lock: &str) -> Result<BTreeMap<String, String>> {
    let lock: Lock = toml::from_str(lock)?;
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    for Package { name, version } in lock.package {
        if NAMED.contains(&name.as_str()) {
            let known = versions.entry(name).or_default();
            let and = if known.is_empty() { "" } else { " and " };
            *known += &format!("{and}{version}");
        }
    }
    Ok(versions)
}

/// Returns the versions of Node and its libraries, if Node is installed.
fn node(package: &Path) -> BTreeMap<String, String> {
    let Some(version) = said(Command::new("node").arg("--version")) else {
        return BTreeMap::new();
    };
    let text = fs::read_to_string(package).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let libraries = package["dependencies"].as_object().into_iter().flatten();
    let versions = libraries.map(|(name, version)| {
        (format!("npm {name}"), version.as_str().unwrap_or_default().to_owned())
    });
    versions.chain([("node".to_owned(), version)]).collect()
}

fn towline(workspace: &Workspace) -> String {
    let mut packages = workspace.packages.iter();
    let version =
        packages.find(|package| package.name == "towline").map(|package| &package.version);
    let mut git = Command::new("git");
    git.current_dir(&workspace.root).args(["describe", "--always", "--dirty", "--exclude=*"]);
    match said(&mut git) {
        Some(commit) => format!("{} ({commit})", version.map_or("?", String::as_str)),
        None => version.cloned().unwrap_or_default(),
    }
}

/// Returns the first line that a command prints, if it succeeds.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_who_is_neither_idle_nor_ours() {
        let own = |ticks| format!("7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 {ticks} 10 5 5 0 0");
        let first = Ticks::parse("cpu  10 0 10 100 0 0 0 0 3 0\ncpu0 1", &own(0));
        let last = Ticks::parse("cpu  60 0 20 120 10 0 5 5 9 0\n", &own(30));
        let (first, last) = (first.expect("a line"), last.expect("a line"));
        // Of a hundred ticks thirty were idle, and thirty ours.
        assert_eq!(last.others_since(first), Some(0.4));
        assert_eq!(first.others_since(first), None);
    }

    #[test]
    fn all_versions_of_a_library_are_listed() {
        let package =
            |name, version| format!("[[package]]\nname = {name:?}\nversion = {version:?}\n");
        let lock = [
            package("axum", "0.8.9"),
            package("tokio-tungstenite", "0.29.0"),
            package("tokio-tungstenite", "0.30.0"),
            package("unnamed", "1.0.0"),
        ];
        let versions: Vec<_> = versions(&lock.concat()).unwrap().into_iter().collect();
        let expected = [("axum", "0.8.9"), ("tokio-tungstenite", "0.29.0 and 0.30.0")];
        assert_eq!(versions, expected.map(|(name, version)| (name.into(), version.into())));
    }

    #[test]
    fn a_kernel_goes_by_its_numbers() {
        assert_eq!(numbers("6.12.9-arch1-1\n"), "6.12.9");
        assert_eq!(numbers("6.1\n"), "6.1");
    }
}
