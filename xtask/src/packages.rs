//! Checks what is published: the metadata of the crates, the files in their packages, and that all
//! versions agree. `cargo publish --dry-run` also builds them, which the release workflow does.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{Package, Workspace, cargo};

/// The files that every package has.
const NEEDED: [&str; 4] = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// The beginnings of the other files that a package may have.
const ALLOWED: [&str; 6] =
    ["src/", "examples/", "build.rs", "Cargo.lock", "Cargo.toml.orig", ".cargo_vcs_info.json"];

/// The most bytes of all files of a package together, before they are compressed.
const MOST_BYTES: u64 = 3 << 20;

/// Prints all findings, and the packages in an order in which they can be published. Returns true if
/// there are no findings.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let mut findings = versions(workspace)?;
    for package in in_order(workspace) {
        let files = listed(workspace, package)?;
        let sizes = files.iter().map(|file| size_of(package, file));
        let bytes = sizes.sum::<u64>();
        println!(
            "{} {}: {} files, {} KiB",
            package.name,
            package.version,
            files.len(),
            bytes >> 10
        );
        let found = metadata(package).into_iter().chain(contents(&files, bytes));
        let found = found.chain(too_new(workspace, package));
        findings.extend(found.map(|finding| format!("{}: {finding}", package.name)));
    }
    for finding in &findings {
        println!("error: {finding}");
    }
    println!("{} findings", findings.len());
    Ok(findings.is_empty())
}

/// Returns the packages to publish, each behind those that it depends on, tests included.
pub(crate) fn in_order(workspace: &Workspace) -> Vec<&Package> {
    let mut left: Vec<_> = workspace.members().filter(|member| member.is_published()).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits = |package: &Package| {
            let names = package.dependencies.iter().map(|dependency| dependency.name.as_str());
            let is_left = |name| left.iter().any(|other| other.name == name);
            names.filter(|name| *name != package.name).any(is_left)
        };
        // In a cycle, which cargo refuses to publish, the first one is next.
        let next = left.iter().position(|package| !waits(package)).unwrap_or_default();
        ordered.push(left.remove(next));
    }
    ordered
}

fn listed(workspace: &Workspace, package: &Package) -> Result<Vec<String>> {
    let output = Command::new(cargo())
        .current_dir(&workspace.root)
        .args(["package", "--list", "--allow-dirty", "--package", &package.name])
        .output()
        .context("cannot run cargo package")?;
    if !output.status.success() {
        bail!("cargo package failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let text =
        String::from_utf8(output.stdout).context("cannot read what cargo package printed")?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Returns the size of a file, or 0 for one that cargo makes.
fn size_of(package: &Package, file: &str) -> u64 {
    fs::metadata(package.directory().join(file)).map_or(0, |metadata| metadata.len())
}

/// What crates.io and docs.rs ask for.
fn metadata(package: &Package) -> Vec<String> {
    let mut findings = Vec::new();
    let mut need = |holds: bool, what: &str| {
        if !holds {
            findings.push(what.to_owned());
        }
    };
    need(package.description.as_ref().is_some_and(|text| text.len() > 20), "no description");
    need(package.license.as_deref() == Some("MIT OR Apache-2.0"), "another licence");
    need(package.rust_version.is_some(), "no rust-version");
    need(package.readme.is_some(), "no readme");
    need((1..=5).contains(&package.keywords.len()), "not between one and five keywords");
    let is_keyword = |word: &String| {
        let is_allowed = |char: char| char.is_ascii_alphanumeric() || "-_+".contains(char);
        word.len() <= 20 && word.starts_with(char::is_alphanumeric) && word.chars().all(is_allowed)
    };
    need(package.keywords.iter().all(is_keyword), "a keyword that crates.io refuses");
    need((1..=5).contains(&package.categories.len()), "not between one and five categories");
    if package.is_library() {
        let docs = &package.metadata["docs"]["rs"];
        need(docs["all-features"] == true, "docs.rs does not document all features");
        let labels = docs["rustdoc-args"].as_array();
        need(
            labels.is_some_and(|args| args.iter().any(|arg| arg == "docsrs")),
            "no feature labels",
        );
    }
    findings
}

/// Returns the dependencies that need a newer Rust than the package says, or than those of our crates say
/// that it depends on by a feature.
fn too_new(workspace: &Workspace, package: &Package) -> Vec<String> {
    let tree = workspace.built_with(package);
    let ours = tree.iter().filter(|other| other.source.is_none()).copied();
    let Some(allowed) = ours.chain([package]).filter_map(rust_version).max() else {
        return Vec::new();
    };
    let newer =
        tree.iter().filter(|other| rust_version(other).is_some_and(|needed| needed > allowed));
    let finding = |other: &&Package| {
        let needed = other.rust_version.as_deref().unwrap_or_default();
        format!(
            "{} {} needs Rust {needed}, not {}.{}",
            other.name, other.version, allowed.0, allowed.1
        )
    };
    newer.map(finding).collect()
}

/// Returns the two numbers of `1.88` or `1.88.0`.
fn rust_version(package: &Package) -> Option<(u32, u32)> {
    let mut numbers = package.rust_version.as_deref()?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn contents(files: &[String], bytes: u64) -> Vec<String> {
    let mut findings = Vec::new();
    for needed in NEEDED {
        if !files.iter().any(|file| file == needed) {
            findings.push(format!("{needed} is missing in the package"));
        }
    }
    for file in files.iter().filter(|file| !NEEDED.contains(&file.as_str())) {
        if !ALLOWED.iter().any(|allowed| file.starts_with(allowed)) {
            findings.push(format!("{file} is in the package"));
        }
    }
    if bytes > MOST_BYTES {
        findings.push(format!("{bytes} bytes are in the package, more than {MOST_BYTES}"));
    }
    findings
}

/// Checks that crates and npm package have one version, and that the documentation names it.
fn versions(workspace: &Workspace) -> Result<Vec<String>> {
    let root = &workspace.root;
    let Some(towline) = workspace.members().find(|member| member.name == "towline") else {
        bail!("there is no crate towline");
    };
    let version = towline.version.as_str();
    let mut findings = Vec::new();
    for member in workspace.members().filter(|member| member.version != version) {
        findings.push(format!("{} has the version {}, not {version}", member.name, member.version));
    }
    for file in ["node/package.json", "node/package-lock.json"] {
        let text =
            fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        if json["version"] != version {
            findings.push(format!("{file} has the version {}, not {version}", json["version"]));
        }
    }
    let mut texts = vec![root.join("README.md")];
    let mut directories = vec![root.join("docs"), root.join("crates"), root.join("examples")];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => directories.push(path),
                Some("md") => texts.push(path),
                _ => {}
            }
        }
    }
    for path in texts {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
        findings.extend(outdated(workspace.relative(&path), &text, version));
    }
    Ok(findings)
}

/// Returns the lines of a `Cargo.toml` in a text that ask for another version of our crates.
fn outdated(path: &Path, text: &str, version: &str) -> Vec<String> {
    let release = version.rsplit_once('.').map_or(version, |(release, _)| release);
    let is_ours = |line: &&str| {
        let name = line.split([' ', '=']).next().unwrap_or_default();
        name.starts_with("towline") && line[name.len()..].trim_start().starts_with('=')
    };
    let asked = |line: &str| {
        let numbers = line.split('"').skip(1).step_by(2);
        numbers
            .filter(|text| text.starts_with(|first: char| first.is_ascii_digit()))
            .map(str::to_owned)
            .next()
    };
    let lines = text.lines().filter(is_ours);
    let others = lines.filter_map(asked).filter(|found| found != release && found != version);
    others
        .map(|found| format!("{} asks for version {found}, not {release}", path.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], bytes: u64) -> Vec<String> {
        contents(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>(), bytes)
    }

    #[test]
    fn a_package_has_the_licences_and_no_tests() {
        let whole = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/lib.rs"];
        assert!(found(&whole, 1000).is_empty());
        assert_eq!(found(&whole[1..], 1000), ["Cargo.toml is missing in the package"]);
        assert_eq!(
            found(&[&whole[..], &["tests/a.rs"]].concat(), 1000),
            ["tests/a.rs is in the package"]
        );
        assert_eq!(found(&whole, MOST_BYTES + 1).len(), 1);
    }

    #[test]
    fn a_version_in_a_text_is_that_of_the_crates() {
        let text = "towline = \"0.1\"\ntowline-axum = { version = \"0.2\", features = [\"0.1\"] }\naxum = \"0.8\"\n";
        assert_eq!(
            outdated(Path::new("a.md"), text, "0.2.0"),
            ["a.md asks for version 0.1, not 0.2"]
        );
        assert!(outdated(Path::new("a.md"), "The towline = \"0.1\" of old.", "0.2.0").is_empty());
    }
}
