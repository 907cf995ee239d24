//! `cargo xtask coverage`: which lines of a package its own tests reach.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;

use crate::workspace::{Workspace, cargo};

#[derive(Args)]
pub(crate) struct Options {
    /// A package; towline-proto and towline if none is named. Repeat it for more
    #[arg(short, long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// Show the lines that no test reaches
    #[arg(long)]
    lines: bool,
}

/// Returns true if all tests passed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let tools = Tools::find()?;
    let default = ["towline-proto", "towline"].map(str::to_owned);
    let packages = if options.packages.is_empty() { &default[..] } else { &options.packages };
    let mut passed = true;
    for name in packages {
        let package = workspace.packages.iter().find(|package| package.name == *name);
        let package = package.with_context(|| format!("unknown package {name:?}"))?;
        let folder = package.manifest_path.parent().context("a package without a folder")?;
        let measured = Measured::new(workspace, name)?;
        passed &= measured.test(name)?;
        measured.report(&tools, &folder.join("src"), options.lines)?;
    }
    Ok(passed)
}

/// Cargo passes the compiler and its arguments.
const COMPILER: &str = "#!/bin/sh\nexec \"$@\" -Cinstrument-coverage\n";

/// One package's tests, compiled to count.
struct Measured {
    root: PathBuf,
    /// Calls the compiler for the packages of this workspace. Their dependencies are not counted, so they are
    /// those of other builds.
    compiler: PathBuf,
    profiles: PathBuf,
    programs: Vec<PathBuf>,
}

impl Measured {
    /// Builds the tests, with all features.
    fn new(workspace: &Workspace, package: &str) -> Result<Self> {
        let coverage = workspace.target_directory.join("coverage");
        let profiles = coverage.join("profiles").join(package);
        if profiles.exists() {
            fs::remove_dir_all(&profiles)?;
        }
        fs::create_dir_all(&profiles)?;
        let compiler = coverage.join("compiler.sh");
        write_program(&compiler, COMPILER)?;
        let root = workspace.root.clone();
        let mut measured = Self { root, compiler, profiles, programs: Vec::new() };
        let mut build = measured.cargo(package);
        build.args(["--no-run", "--message-format=json"]).stdout(Stdio::piped());
        let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        ensure!(output.status.success(), "the tests of {package} do not build");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let built: Built = serde_json::from_str(line)?;
            measured.programs.extend(built.executable);
        }
        Ok(measured)
    }

    /// Runs the tests. Doc tests are not counted.
    fn test(&self, package: &str) -> Result<bool> {
        Ok(self
            .cargo(package)
            .arg("--no-fail-fast")
            .status()
            .context("cannot run cargo")?
            .success())
    }

    fn cargo(&self, package: &str) -> Command {
        let mut command = Command::new(cargo());
        command
            .current_dir(&self.root)
            .args(["test", "--locked", "--all-features", "--tests", "--package", package])
            .env("RUSTC_WORKSPACE_WRAPPER", &self.compiler)
            // One file for each program, whatever processes it starts.
            .env("LLVM_PROFILE_FILE", self.profiles.join("%m.profraw"));
        command
    }

    fn report(&self, tools: &Tools, sources: &Path, shows_lines: bool) -> Result<()> {
        let data = self.profiles.join("all.profdata");
        let mut merge = Command::new(&tools.profdata);
        merge.args(["merge", "--sparse", "--output"]).arg(&data);
        for entry in fs::read_dir(&self.profiles)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "profraw") {
                merge.arg(path);
            }
        }
        ensure!(merge.status()?.success(), "llvm-profdata cannot merge the counts");

        let summary = self.tool(tools, &["export", "--summary-only"], &data, sources)?;
        let export: Export = serde_json::from_str(&summary)?;
        let mut files = BTreeMap::new();
        for file in export.data.into_iter().flat_map(|data| data.files) {
            if let Ok(name) = file.filename.strip_prefix(sources) {
                files.insert(name.to_owned(), file.summary.lines);
            }
        }
        let mut all = Lines { count: 0, covered: 0 };
        for (name, lines) in &files {
            all.count += lines.count;
            all.covered += lines.covered;
            if lines.count > lines.covered {
                println!(
                    "{:6.1} %  {:5} missed  {}",
                    lines.percent(),
                    lines.missed(),
                    name.display()
                );
            }
        }
        println!("{:6.1} %  {:5} missed  {}", all.percent(), all.missed(), sources.display());
        if shows_lines {
            let shown = self.tool(tools, &["show", "--show-line-counts"], &data, sources)?;
            let is_missed = |line: &str| line.starts_with('/') || line.contains("|      0|");
            shown.lines().filter(|line| is_missed(line)).for_each(|line| println!("{line}"));
        }
        Ok(())
    }

    fn tool(&self, tools: &Tools, what: &[&str], data: &Path, sources: &Path) -> Result<String> {
        let [first, others @ ..] = &self.programs[..] else { bail!("there are no tests") };
        let mut command = Command::new(&tools.cov);
        command.args(what).arg("--instr-profile").arg(data).arg(first);
        for program in others {
            command.arg("--object").arg(program);
        }
        let output = command.arg("--sources").arg(sources).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Writes a program, unless it is there: cargo would build everything again.
fn write_program(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {path:?}"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The tools of LLVM, of the compiler's version or newer.
struct Tools {
    cov: PathBuf,
    profdata: PathBuf,
}

impl Tools {
    /// Finds them where rustup puts them (`rustup component add llvm-tools`), where Debian does
    /// (`apt install llvm-22`), or on `PATH`.
    fn find() -> Result<Self> {
        let said = output("rustc", &["-vV"]).context("cannot run rustc")?;
        let after = |start: &str| said.lines().find_map(|line| line.strip_prefix(start));
        let version = after("LLVM version: ").context("rustc -vV names no LLVM")?;
        let major: u32 = version.split('.').next().unwrap_or_default().parse()?;
        let host = after("host: ").context("rustc -vV names no host")?;
        let sysroot = output("rustc", &["--print", "sysroot"]).context("cannot run rustc")?;
        let rustup = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
        let newer = (major..major + 10).map(|major| format!("/usr/lib/llvm-{major}/bin").into());
        for folder in [rustup].into_iter().chain(newer).chain([PathBuf::new()]) {
            let (cov, profdata) = (folder.join("llvm-cov"), folder.join("llvm-profdata"));
            let found = output(&cov, &["--version"]).unwrap_or_default();
            let found =
                found.split("LLVM version ").nth(1).and_then(|found| found.split('.').next());
            if found.and_then(|found| found.parse().ok()).is_some_and(|found: u32| found >= major) {
                return Ok(Self { cov, profdata });
            }
        }
        bail!(
            "llvm-cov of LLVM {major} is missing: `rustup component add llvm-tools`, or \
             `apt install llvm-{major}`"
        )
    }
}

fn output(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref()).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A message of cargo's.
#[derive(Deserialize)]
struct Built {
    executable: Option<PathBuf>,
}

/// The parts of llvm-cov's summary that are used.
#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: PathBuf,
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    lines: Lines,
}

#[derive(Deserialize)]
struct Lines {
    count: u32,
    covered: u32,
}

impl Lines {
    fn missed(&self) -> u32 {
        self.count - self.covered
    }

    fn percent(&self) -> f64 {
        100.0 * f64::from(self.covered) / f64::from(self.count.max(1))
    }
}
