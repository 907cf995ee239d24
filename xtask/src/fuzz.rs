//! `cargo xtask fuzz`: builds the targets of `testing/fuzz` for libFuzzer and runs them in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::workspace::{Workspace, cargo};

/// What `cargo fuzz` passes to the compiler: coverage for libFuzzer, and AddressSanitizer.
const FLAGS: &str = "--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The bounds of a single input: seconds, and MiB in one allocation. The configurations allow
/// messages of a few hundred KiB.
const BOUNDS: [&str; 3] = ["-timeout=20", "-malloc_limit_mb=64", "-max_len=4096"];

#[derive(Args)]
pub(crate) struct Options {
    /// The targets to run; all of them if none is named
    targets: Vec<String>,
    /// How long to run each target
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) seconds: u64,
    /// The seed, for the same order of inputs again
    #[arg(long)]
    pub(crate) seed: Option<u32>,
    /// Add what was found to the committed corpus, as few inputs as cover all of it
    #[arg(long)]
    merge: bool,
}

impl Options {
    /// Returns the short run of all targets, for the tests.
    pub(crate) fn quick() -> Self {
        Self { targets: Vec::new(), seconds: 10, seed: Some(1), merge: false }
    }
}

/// Returns true if no target failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let fuzz = Fuzz::new(workspace)?;
    let all = fuzz.targets()?;
    for name in &options.targets {
        ensure!(all.contains(name), "unknown target {name:?}; the targets are {}", all.join(", "));
    }
    let chosen = if options.targets.is_empty() { &all } else { &options.targets };
    fuzz.build()?;
    let mut passed = true;
    for target in chosen {
        passed &= fuzz.run(target, options)?;
    }
    Ok(passed)
}

/// Where everything of the fuzzers is.
struct Fuzz {
    package: PathBuf,
    /// Programs, inputs that were found, and inputs that failed.
    target: PathBuf,
    host: String,
}

impl Fuzz {
    fn new(workspace: &Workspace) -> Result<Self> {
        let package = workspace.root.join("testing/fuzz");
        let target = workspace.target_directory.join("fuzz");
        Ok(Self { package, target, host: host()? })
    }

    fn targets(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.package.join("src/bin"))? {
            let path = entry?.path();
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
        names.sort();
        Ok(names)
    }

    fn build(&self) -> Result<()> {
        let status = Command::new(cargo())
            .current_dir(&self.package)
            .args(["build", "--release", "--locked", "--target", &self.host])
            .env("CARGO_TARGET_DIR", &self.target)
            // Sanitizers are not stable, but they are part of every stable toolchain.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", FLAGS)
            .status()
            .context("cannot run cargo")?;
        if !status.success() {
            bail!("the fuzz targets do not build");
        }
        Ok(())
    }

    fn run(&self, target: &str, options: &Options) -> Result<bool> {
        let found = self.folder("corpus", target)?;
        let artifacts = self.folder("artifacts", target)?;
        let seeds = self.package.join("corpus").join(target);
        if options.merge {
            return self.merge(target, &seeds, &found);
        }
        println!("-- {target}, {} s", options.seconds);
        let mut fuzzer = self.fuzzer(target);
        fuzzer
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(options.seed.map(|seed| format!("-seed={seed}")))
            .args([&found, &seeds]);
        let output = fuzzer.output().with_context(|| format!("cannot run {target}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            println!("{}", said.lines().last().unwrap_or_default());
            return Ok(true);
        }
        println!("{said}");
        println!("{target} failed. To see it again, run it with the input above as its argument:");
        println!("    {}", self.program(target).display());
        Ok(false)
    }

    fn merge(&self, target: &str, seeds: &Path, found: &Path) -> Result<bool> {
        fs::create_dir_all(seeds)?;
        let status = self
            .fuzzer(target)
            .arg("-set_cover_merge=1")
            .args([seeds, found])
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {target}"))?;
        println!("-- {target}: {} inputs", fs::read_dir(seeds)?.count());
        Ok(status.success())
    }

    fn fuzzer(&self, target: &str) -> Command {
        let mut fuzzer = Command::new(self.program(target));
        fuzzer.args(BOUNDS).env("RUST_BACKTRACE", "1");
        fuzzer
    }

    fn program(&self, target: &str) -> PathBuf {
        self.target.join(&self.host).join("release").join(target)
    }

    fn folder(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let folder = self.target.join(kind).join(target);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Returns the machine's own target. It is named, so that build scripts are compiled without the
/// sanitizer.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
