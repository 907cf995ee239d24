//! One kind of measurement after the other: measured, shown, kept.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::bench::echoing::Pace;
use crate::bench::machine::{Machine, Watch};
use crate::bench::outcome::EchoScenario;
use crate::bench::peer::Peer;
use crate::bench::scenario::Scenario;
use crate::bench::serving::Bench;
use crate::bench::writing::Run;
use crate::bench::{clients, cores, echoing, fair, standing, table, tls, writing};

pub(crate) struct Session<'a> {
    pub(crate) bench: Bench,
    pub(crate) machine: Machine,
    pub(crate) out: &'a Path,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    /// Of each turn of an echo, if not as usual.
    pub(crate) seconds: Option<f64>,
}

impl Session<'_> {
    pub(crate) fn echo(
        &self,
        scenarios: &[&Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        self.echoes(&self.bench, "echo", table::echo, (scenarios, peers), failures)
    }

    pub(crate) fn compressed(
        &self,
        scenarios: &[&Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let table = table::compressed;
        self.echoes(&self.bench, "compressed", table, (scenarios, peers), failures)
    }

    /// Echoes over TLS, in those of the scenarios that are measured so; and where all were chosen,
    /// memory and handshakes.
    pub(crate) fn tls(
        &self,
        is_all: bool,
        (scenarios, peers): (&[&Scenario], &[Peer]),
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let bench = self.bench.over_tls()?;
        let scenarios = tls::scenarios(scenarios);
        let scenarios: Vec<_> = scenarios.iter().collect();
        if !scenarios.is_empty() {
            self.echoes(&bench, "tls", table::tls, (&scenarios, peers), failures)?;
        }
        if !is_all {
            return Ok(());
        }
        let watch = Watch::start();
        let results = standing::tls_memory(&bench, peers, self.connections(10_000), failures);
        println!("\n{}", table::tls_memory(&results));
        self.keep("tls-memory", &Run { rounds: 1, ..self.run(None, &watch) }, &results)?;

        let (watch, count) = (Watch::start(), self.connections(5000));
        let results = standing::tls_accept(&bench, peers, count, self.rounds, failures);
        println!("\n{}", tls::accept(&results));
        self.keep("tls-accept", &self.run(None, &watch), &results)
    }

    fn echoes(
        &self,
        bench: &Bench,
        name: &str,
        table: fn(&[EchoScenario]) -> String,
        (scenarios, peers): (&[&Scenario], &[Peer]),
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (watch, pace) = (Watch::start(), self.pace());
        let results = echoing::measure(bench, scenarios, peers, pace, failures);
        println!("{}\n{}", table::details(&results), table(&results));
        self.keep(name, &self.run(Some(pace.seconds()), &watch), &results)
    }

    pub(crate) fn compressed_memory(
        &self,
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (watch, count) = (Watch::start(), self.connections(10_000));
        let results = standing::compressed_memory(&self.bench, peers, count, failures);
        println!("\n{}", table::compressed_memory(&results));
        let run = Run { rounds: 1, ..self.run(None, &watch) };
        self.keep("compressed-memory", &run, &results)
    }

    pub(crate) fn memory(&self, peers: &[Peer], failures: &mut Vec<String>) -> Result<()> {
        let watch = Watch::start();
        let results = standing::memory(&self.bench, peers, self.connections(10_000), failures);
        println!("\n{}", table::memory(&results));
        self.keep("memory", &Run { rounds: 1, ..self.run(None, &watch) }, &results)
    }

    pub(crate) fn accept(&self, peers: &[Peer], failures: &mut Vec<String>) -> Result<()> {
        let (watch, count) = (Watch::start(), self.connections(5000));
        let results = standing::accept(&self.bench, peers, count, self.rounds, failures);
        println!("\n{}", table::accept(&results));
        self.keep("accept", &self.run(None, &watch), &results)
    }

    pub(crate) fn cores(
        &self,
        scenarios: &[&Scenario],
        peers: &[&Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (watch, pace) = (Watch::start(), self.pace());
        let results = cores::measure(&self.bench, scenarios, peers, pace, failures);
        println!("\n{}", table::cores(&results));
        self.keep("cores", &self.run(Some(pace.seconds()), &watch), &results)
    }

    /// What one connection does to the others, with these servers.
    pub(crate) fn fair(
        &self,
        scenarios: &[&fair::Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (rounds, held) = (self.rounds, self.connections(20_000));
        let default = if self.quick { 0.5 } else { 1.0 };
        let seconds = self.seconds.unwrap_or(default).clamp(0.1, 60.0);
        let (watch, span) = (Watch::start(), fair::Span { rounds, seconds, held });
        let results = fair::measure(&self.bench, scenarios, peers, span, failures);
        println!("\n{}", fair::table(&results));
        self.keep("fairness", &self.run(Some(seconds), &watch), &results)
    }

    /// Clients of these names, and masking.
    pub(crate) fn clients(&self, names: &[String], failures: &mut Vec<String>) -> Result<()> {
        let watch = Watch::start();
        let ways: Vec<_> = clients::WAYS.into_iter().filter(|way| way.is_among(names)).collect();
        let results = clients::measure(&self.bench, &ways, self.rounds, self.quick, failures);
        println!("\n{}", table::clients(&results));
        let seconds = clients::seconds(self.quick);
        self.keep("client", &self.run(Some(seconds), &watch), &results)?;

        let watch = Watch::start();
        let speeds = clients::masking(&self.bench, self.quick)?;
        println!("{}", table::masking(&speeds));
        self.keep("masking", &Run { rounds: 1, ..self.run(None, &watch) }, &speeds)
    }

    fn pace(&self) -> Pace {
        Pace::new(self.rounds, self.quick, self.seconds)
    }

    fn connections(&self, full: usize) -> usize {
        if self.quick { 2000 } else { full }
    }

    fn run(&self, seconds: Option<f64>, watch: &Watch) -> Run {
        Run { rounds: self.rounds, seconds, others: watch.others() }
    }

    fn keep<T: Serialize + Clone>(&self, name: &str, run: &Run, results: &[T]) -> Result<()> {
        println!("{}", run.about());
        writing::keep(self.out, name, &self.machine, run, results)
    }
}
