//! The results on disk: a file of numbers for each kind of measurement, and a page and a picture
//! that are made from all the files that are there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bench::machine::Machine;
use crate::bench::outcome::{AcceptSample, ClientSample, EchoScenario, MemorySample, Speed};
use crate::bench::{instructions, plot, table};

const METHOD: &str = "\
Each server runs on one thread, held to a core of its own; the load generator is on another. The
numbers are processor time of the server's process, user and kernel, divided by the messages that
were echoed meanwhile. The servers take turns, round by round; a ratio is that of two turns in the
same round, and the table has the medians. *Bare TCP* is a tokio program that writes back the bytes
it reads, up to 64 KiB at a time, and knows of no frames. All servers allow messages of 16 MiB, send a message in one frame,
have no compression, check text to be UTF-8, and have Nagle's algorithm off; keepalive is as each
library has it by default, so it is on in Towline. Whatever was compiled was compiled alike, for any
processor of the architecture. Memory is the growth of the resident memory by connections that have
each echoed 1 KiB and are idle, divided by their number; accepting is processor time from the
connection to the answer 101.

The whole method is in [testing/bench](../../testing/bench/README.md), and
`cargo xtask bench` repeats it.
";

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    machine: Machine,
    results: Vec<T>,
}

/// Writes the numbers of one kind.
pub(crate) fn keep<T: Serialize + Clone>(
    out: &Path,
    name: &str,
    machine: &Machine,
    results: &[T],
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {out:?}"))?;
    let kept = Kept { machine: machine.clone(), results: results.to_vec() };
    let path = out.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))
}

/// Writes the page and the picture.
pub(crate) fn publish(out: &Path) -> Result<()> {
    let mut page = String::from("# Benchmarks\n\n");
    let mut machine = None;
    if let Some(kept) = read::<EchoScenario>(out, "echo")? {
        page += "CPU time per message, in ratio to a bare TCP echo: less is better.\n\n";
        page += "![The same as a picture](echo.svg)\n\n";
        page += &table::echo(&kept.results);
        page += "\n";
        let compressed = table::compressed(&kept.results);
        if !compressed.is_empty() {
            page += &compressed;
            page += "\n";
        }
        fs::write(out.join("echo.svg"), plot::draw(&kept.results))?;
        machine = Some(kept.machine);
    }
    if let Some(kept) = read::<MemorySample>(out, "memory")? {
        page += &table::memory(&kept.results);
        page += "\n";
        machine = machine.or(Some(kept.machine));
    }
    if let Some(kept) = read::<AcceptSample>(out, "accept")? {
        page += &table::accept(&kept.results);
        page += "\n";
        machine = machine.or(Some(kept.machine));
    }
    if let Some(kept) = read::<ClientSample>(out, "client")? {
        page += &table::clients(&kept.results);
        machine = machine.or(Some(kept.machine));
    }
    if let Some(kept) = read::<Speed>(out, "masking")? {
        page += &table::masking(&kept.results);
        page += "\n";
        machine = machine.or(Some(kept.machine));
    }
    let counts = out.join("instructions.json");
    if let Ok(text) = fs::read_to_string(&counts) {
        let counts = serde_json::from_str(&text);
        page += &instructions::table(&counts.context("cannot read instructions.json")?);
        page += "\n";
    }
    page += "## Method\n\n";
    page += METHOD;
    if let Some(machine) = machine {
        page += &about(&machine);
    }
    let path = out.join("README.md");
    fs::write(&path, page).with_context(|| format!("cannot write {path:?}"))
}

fn read<T: DeserializeOwned>(out: &Path, name: &str) -> Result<Option<Kept<T>>> {
    let path = out.join(format!("{name}.json"));
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    serde_json::from_str(&text).map(Some).with_context(|| format!("cannot read {path:?}"))
}

fn about(machine: &Machine) -> String {
    let Machine { processor, cores, kernel, date, rustc, flags, versions, .. } = machine;
    let versions: Vec<_> =
        versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" with {flags}") };
    format!(
        "\n## Machine and versions\n\n{date}: {processor}, {cores} cores, {kernel}, \
         {rustc}{flags}.\n\n{}.\n",
        versions.join(", ")
    )
}
