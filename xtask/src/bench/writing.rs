//! The results on disk: a file of numbers for each kind of measurement, and a page and a picture
//! that are made from all the files that are there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bench::fair::outcome::FairResult;
use crate::bench::machine::Machine;
use crate::bench::outcome::{
    AcceptSample, ClientSample, CoresResult, EchoScenario, MemorySample, Speed,
};
use crate::bench::scenario::Kind;
use crate::bench::{fair, instructions, plot, table, tls};

const METHOD: &str = "\
Each server runs on one thread, held to a core of its own; the load generator is on another. The
numbers are processor time of the server's process, user and kernel, divided by the messages that
were echoed meanwhile. The servers take turns, round by round; a ratio is that of two turns in the
same round, and the table has the medians. *Bare TCP* is a tokio program that writes back the bytes
it reads, up to 64 KiB at a time, and knows of no frames. All servers allow messages of 16 MiB, send
a message in one frame, have no compression where none is named, check text to be UTF-8, and have
Nagle's algorithm off; keepalive is as each library has it by default, so it is on in Towline.
Whatever was compiled was compiled alike, for any processor of the architecture. Memory is the
growth of the resident memory by connections that have each echoed 1 KiB and are idle, divided by
their number; accepting is processor time from the connection to the answer 101. On several cores
the load generator shares them with the server. Clients talk to a sink or a source on another core,
and the time is that of the client's process.

Where one connection takes all it can get, others echo 32 B once in a millisecond each, and one
that is answered late counts for those as well that would have been sent meanwhile. In a turn of its
own, a task in the server that always yields looks how long it had to wait for its next turn, and
the longest poll of a connection's task is taken, by its processor time. With two workers the load
generator shares their cores, and its own work is part of those latencies.

Where there is compression, all compress at level 6, whatever the size, and the table has what a
reply took after it. *Context takeover* is in both directions, with windows of 32 KiB.

Over TLS, the load generator speaks 1.3 with AES-256-GCM, and the certificate is on P-256. *Bare TLS*
is the bare echo on tokio-rustls, and so are the other libraries of Rust, as its documentation shows
it; all of Rust has rustls with ring, Towline too, and Node has OpenSSL. Memory is that after an echo
of 16 KiB, which fills a record. A new session is one with a certificate that is signed for it, a
resumed one continues by a ticket, with a key exchange all the same; the time is from one connection
to the next, with 32 under way and the client's work in it.

The whole method is in [testing/bench](../../testing/bench/README.md), and
`cargo xtask bench` repeats it.
";

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    machine: Machine,
    #[serde(default)]
    run: Option<Run>,
    results: Vec<T>,
}

/// How it was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// That were measured in each turn, where there is a time.
    pub(crate) seconds: Option<f64>,
    /// The part of the processors that other programs had meanwhile.
    pub(crate) others: Option<f64>,
}

/// More than this, and the numbers are not to be relied on.
const MUCH: f64 = 0.05;

impl Run {
    /// A line, as for the picture.
    pub(crate) fn about(&self) -> String {
        let rounds = match (self.rounds, self.seconds) {
            (1, None) => "one round".to_owned(),
            (rounds, None) => format!("medians of {rounds} rounds"),
            (1, Some(seconds)) => format!("one round of {seconds} s"),
            (rounds, Some(seconds)) => format!("medians of {rounds} rounds of {seconds} s"),
        };
        match self.others {
            Some(others) => {
                let warning = if others > MUCH { ": too much to rely on this" } else { "" };
                let share = others * 100.0;
                format!("{rounds}; other programs had {share:.0} % of the processors{warning}")
            }
            None => rounds,
        }
    }
}

/// Writes the numbers of one kind.
pub(crate) fn keep<T: Serialize + Clone>(
    out: &Path,
    name: &str,
    machine: &Machine,
    run: &Run,
    results: &[T],
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {out:?}"))?;
    let kept = Kept { machine: machine.clone(), run: Some(run.clone()), results: results.to_vec() };
    let path = out.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))
}

/// Writes the page and the picture.
pub(crate) fn publish(out: &Path) -> Result<()> {
    let mut page = Page { text: String::from("# Benchmarks\n\n"), machines: Vec::new() };
    if let Some(kept) = read(out, "echo")?.and_then(uncompressed) {
        page.text += "CPU time per message, in ratio to a bare TCP echo: less is better.\n\n";
        page.text += "![The same as a picture](echo.svg)\n\n";
        let about = kept.run.as_ref().map(Run::about);
        fs::write(out.join("echo.svg"), plot::draw(&kept.results, about.as_deref()))?;
        page.put(&kept, table::echo);
    }
    page.put_kept(read::<EchoScenario>(out, "compressed")?, table::compressed);
    page.put_kept(read::<MemorySample>(out, "memory")?, table::memory);
    page.put_kept(read::<MemorySample>(out, "compressed-memory")?, table::compressed_memory);
    page.put_kept(read::<AcceptSample>(out, "accept")?, table::accept);
    page.put_kept(read::<EchoScenario>(out, "tls")?, table::tls);
    page.put_kept(read::<MemorySample>(out, "tls-memory")?, table::tls_memory);
    page.put_kept(read::<AcceptSample>(out, "tls-accept")?, tls::accept);
    page.put_kept(read::<CoresResult>(out, "cores")?, table::cores);
    page.put_kept(read::<FairResult>(out, "fairness")?, fair::table);
    page.put_kept(read::<ClientSample>(out, "client")?, table::clients);
    page.put_kept(read::<Speed>(out, "masking")?, table::masking);
    let counts = out.join("instructions.json");
    if let Ok(text) = fs::read_to_string(&counts) {
        let counts = serde_json::from_str(&text);
        page.text += &instructions::table(&counts.context("cannot read instructions.json")?);
        page.text += "\n";
    }
    page.text += "## Method\n\n";
    page.text += METHOD;
    page.text += "\n## Machine and versions\n";
    for machine in &page.machines {
        page.text += machine;
    }
    let path = out.join("README.md");
    fs::write(&path, page.text).with_context(|| format!("cannot write {path:?}"))
}

struct Page {
    text: String,
    /// Where and with what the numbers were taken, each once.
    machines: Vec<String>,
}

impl Page {
    fn put_kept<T>(&mut self, kept: Option<Kept<T>>, table: impl Fn(&[T]) -> String) {
        if let Some(kept) = kept {
            self.put(&kept, table);
        }
    }

    /// A table, and how it was measured.
    fn put<T>(&mut self, kept: &Kept<T>, table: impl Fn(&[T]) -> String) {
        self.text += table(&kept.results).trim_end();
        self.text += "\n\n";
        if let Some(run) = &kept.run {
            self.text += &format!("({}.)\n\n", run.about());
        }
        let about = about(&kept.machine);
        if !self.machines.contains(&about) {
            self.machines.push(about);
        }
    }
}

/// Without compressed echoes, which were among them before they had a file of their own.
fn uncompressed(mut kept: Kept<EchoScenario>) -> Option<Kept<EchoScenario>> {
    kept.results.retain(|scenario| scenario.kind != Kind::Json);
    (!kept.results.is_empty()).then_some(kept)
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
        "\n{date}: {processor}, {cores} cores, {kernel}, \
         {rustc}{flags}.\n\n{}.\n",
        versions.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::Compression;

    #[test]
    fn results_from_before_compression_had_its_files_are_read() {
        let scenario = |kind: &str| {
            let text = format!(
                r#"{{"name": "n", "about": "a", "connections": 1, "size": 1, "kind": "{kind}",
                "in_flight": 1, "compressed": true, "goal": null, "results": []}}"#
            );
            serde_json::from_str::<EchoScenario>(&text).unwrap()
        };
        let kept = |results| Kept { machine: Machine::default(), run: None, results };
        let left = uncompressed(kept(vec![scenario("text"), scenario("json")])).unwrap();
        assert_eq!(left.results.len(), 1);
        assert_eq!(
            (left.results[0].kind, left.results[0].compression),
            (Kind::Text, Compression::Off)
        );
        assert!(uncompressed(kept(vec![scenario("json")])).is_none());
        let sample = r#"{"peer": "p", "connections": 1, "before": 1, "after": 3}"#;
        let sample: MemorySample = serde_json::from_str(sample).unwrap();
        assert_eq!((sample.compression, sample.after), (Compression::Off, 3));
    }
}
