//! Which crates may depend on which: `proto <- towline <- {hyper, axum, metrics, cli}`, `proto <- node`, and
//! `proto <- cli`.

use std::path::Path;

use crate::house::finding::Finding;
use crate::workspace::{Package, Workspace};

/// Runtimes and sockets, which the protocol must not depend on.
const RUNTIMES: [&str; 16] = [
    "async-executor",
    "async-global-executor",
    "async-io",
    "async-net",
    "async-std",
    "compio",
    "futures-executor",
    "glommio",
    "hyper",
    "mio",
    "monoio",
    "polling",
    "smol",
    "socket2",
    "tokio",
    "tokio-util",
];

/// The level of a package of this workspace; each may use those of lower levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Protocol,
    Library,
    Adapter,
    /// Another host of the protocol, with a runtime of its own.
    Host,
    /// The program, which also sends what the library would not.
    Program,
    /// Tests and tools.
    Unpublished,
}

impl Layer {
    fn of(package: &Package) -> Self {
        match package.name.as_str() {
            "towline-proto" => Self::Protocol,
            "towline" => Self::Library,
            "towline-node" => Self::Host,
            "towline-cli" => Self::Program,
            _ if package.is_published() => Self::Adapter,
            _ => Self::Unpublished,
        }
    }

    fn may_use(self, other: Self) -> bool {
        match self {
            Self::Protocol => false,
            Self::Library | Self::Host => other == Self::Protocol,
            // Adapters use the public API of the library, and may use each other.
            Self::Adapter => other == Self::Library || other == Self::Adapter,
            Self::Program => !matches!(other, Self::Host | Self::Unpublished),
            Self::Unpublished => true,
        }
    }
}

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in workspace.members() {
        let manifest = workspace.relative(&package.manifest_path);
        findings.extend(between_members(workspace, package, manifest));
        if Layer::of(package) == Layer::Protocol {
            findings.extend(runtimes_of(workspace, package, manifest));
        }
    }
    findings
}

fn between_members(workspace: &Workspace, package: &Package, manifest: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in package.dependencies.iter().filter(|dependency| dependency.is_built_with()) {
        let Some(other) = workspace.members().find(|other| other.name == dependency.name) else {
            continue;
        };
        if !Layer::of(package).may_use(Layer::of(other)) {
            let message = format!("{} must not depend on {}", package.name, other.name);
            findings.push(Finding::error(manifest, 0, message));
        }
    }
    findings
}

fn runtimes_of(workspace: &Workspace, package: &Package, manifest: &Path) -> Vec<Finding> {
    let built_with = workspace.built_with(package);
    let refused = built_with.iter().filter(|other| RUNTIMES.contains(&other.name.as_str()));
    refused
        .map(|other| {
            let message = format!(
                "{} does no I/O, but is built with {}, directly or not",
                package.name, other.name
            );
            Finding::error(manifest, 0, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace from `name -> what it needs`; a `?` before a need makes it one of tests only,
    /// and packages named `test-…` are not published.
    fn messages(packages: &[(&str, &[&str])]) -> Vec<String> {
        let member = |name: &str| name.starts_with("towline") || name.starts_with("test-");
        let kind = |need: &str| need.starts_with('?').then_some("dev");
        let package = |(name, needs): &(&str, &[&str])| {
            serde_json::json!({
                "id": name, "name": name, "version": "1.0.0", "license": null,
                "publish": name.starts_with("test-").then_some([""; 0]),
                "manifest_path": format!("/w/{name}/Cargo.toml"), "targets": [],
                "dependencies": needs.iter().map(|need| serde_json::json!({
                    "name": need.trim_start_matches('?'), "kind": kind(need),
                })).collect::<Vec<_>>(),
            })
        };
        let node = |(name, needs): &(&str, &[&str])| {
            serde_json::json!({
                "id": name,
                "deps": needs.iter().map(|need| serde_json::json!({
                    "pkg": need.trim_start_matches('?'), "dep_kinds": [{ "kind": kind(need) }],
                })).collect::<Vec<_>>(),
            })
        };
        let members: Vec<_> = packages.iter().map(|package| package.0).collect();
        let workspace = serde_json::from_value(serde_json::json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": packages.iter().map(package).collect::<Vec<_>>(),
            "workspace_members": members.into_iter().filter(|name| member(name)).collect::<Vec<_>>(),
            "resolve": { "nodes": packages.iter().map(node).collect::<Vec<_>>() },
        }));
        check(&workspace.unwrap()).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn each_layer_uses_the_one_below_it() {
        assert_eq!(
            messages(&[
                ("towline-proto", &["bytes", "?tokio", "?test-kit"]),
                ("towline", &["towline-proto", "tokio"]),
                ("towline-hyper", &["towline", "?towline-proto"]),
                ("towline-axum", &["towline", "towline-hyper"]),
                ("towline-cli", &["towline", "towline-hyper", "towline-proto"]),
                ("towline-node", &["towline-proto", "napi"]),
                ("test-kit", &["towline-proto"]),
                ("bytes", &[]),
                ("napi", &[]),
                ("tokio", &["mio"]),
                ("mio", &[]),
            ]),
            [""; 0]
        );
    }

    #[test]
    fn nothing_reaches_up_or_past_its_neighbour() {
        for (name, needs) in [
            ("towline-proto", "towline"),
            ("towline", "towline-hyper"),
            ("towline-hyper", "towline-proto"),
            ("towline-hyper", "test-kit"),
            ("towline-node", "towline"),
            ("towline-cli", "towline-node"),
            ("towline-cli", "test-kit"),
        ] {
            let expected = format!("error: {name}/Cargo.toml: {name} must not depend on {needs}");
            assert_eq!(messages(&[(name, &[needs]), (needs, &[])]), [expected]);
        }
    }

    #[test]
    fn the_protocol_is_built_with_no_runtime_however_deep() {
        assert_eq!(
            messages(&[
                ("towline-proto", &["a"]),
                ("a", &["mio", "?tokio"]),
                ("mio", &[]),
                ("tokio", &[])
            ]),
            [
                "error: towline-proto/Cargo.toml: towline-proto does no I/O, but is built with mio, directly or not"
            ]
        );
    }
}
