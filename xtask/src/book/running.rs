//! Follows pages in empty directories, with the libraries and the program of this checkout. The tutorial gets
//! free ports; other pages use the default ports of the program, which their commands do not name.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::book::checking::TUTORIAL;
use crate::book::plan::Action;
use crate::book::reader::{Reader, Setting};
use crate::installed::{has, path};
use crate::workspace::{Workspace, cargo};

/// The programs that the pages run, besides cargo and towline.
const PROGRAMS: [&str; 3] = ["curl", "nginx", "openssl"];

/// The ports on the tutorial.
const PORTS: [&str; 2] = ["9001", "8443"];

/// Returns a program that the pages run and this machine lacks.
pub(crate) fn lacks() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|name| !has(name))
}

/// Does what a page says.
pub(crate) fn run(workspace: &Workspace, page: &Path, actions: &[Action]) -> Result<()> {
    println!("==== {}", page.display());
    let directory = Directory::new()?;
    Reader::new(setting(workspace, page)?, directory.0.clone()).follow(actions)
}

/// Builds the program `towline`.
pub(crate) fn build_program(workspace: &Workspace) -> Result<()> {
    let mut command = Command::new(cargo());
    command.current_dir(&workspace.root);
    command.args(["build", "--package", "towline-cli", "--all-features"]);
    if !command.status().context("cannot run cargo")?.success() {
        bail!("the program does not build");
    }
    Ok(())
}

fn setting(workspace: &Workspace, page: &Path) -> Result<Setting> {
    let ports: &[&str] = if page == Path::new(TUTORIAL) { &PORTS } else { &[] };
    let ports = ports.iter().map(|port| (*port).to_owned());
    let published = workspace.members().filter(|member| member.is_published());
    let packages = published.map(|member| (member.name.clone(), member.directory().to_owned()));
    let target = &workspace.target_directory;
    let environment: [(&str, OsString); 5] = [
        ("PATH", path(Some(&target.join("debug")))),
        ("CARGO_TARGET_DIR", target.join("tutorial").into()),
        ("CARGO_NET_OFFLINE", "true".into()),
        ("CARGO_PROFILE_DEV_DEBUG", "line-tables-only".into()),
        ("CARGO_TERM_COLOR", "never".into()),
    ];
    Ok(Setting {
        packages: packages.collect(),
        lock: Some(workspace.root.join("Cargo.lock")),
        ports: ports.zip(free_ports()?).collect(),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
    })
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        // Not in the workspace, since cargo would look for the package there.
        let path = std::env::temp_dir().join(format!("towline-tutorial-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {path:?}"))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn free_ports() -> Result<[String; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [first, second] = listeners.map(|listener| listener.local_addr());
    Ok([first?.port().to_string(), second?.port().to_string()])
}
