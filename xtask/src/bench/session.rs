//! Measures one kind after the other, prints the tables and writes the files.

use std::fs;
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
use crate::bench::{
    clients, cores, echoing, fair, fanout, frameworks, plot, standing, table, tls, writing,
};

pub(crate) struct Session<'a> {
    pub(crate) bench: Bench,
    pub(crate) machine: Machine,
    /// The directory for the numbers.
    pub(crate) out: &'a Path,
    /// The directory of the page for the summaries, with `--publish`.
    pub(crate) published: Option<&'a Path>,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    /// The time of each turn of an echo, if not the default.
    pub(crate) seconds: Option<f64>,
}

impl Session<'_> {
    pub(crate) fn echo(
        &self,
        scenarios: &[&Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (results, run) =
            self.echoes(&self.bench, "echo", table::echo, (scenarios, peers), failures)?;
        if let Some(published) = self.published {
            fs::write(published.join("echo.svg"), plot::draw(&results, &run.about()))?;
        }
        Ok(())
    }

    pub(crate) fn compressed(
        &self,
        scenarios: &[&Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let table = table::compressed;
        self.echoes(&self.bench, "compressed", table, (scenarios, peers), failures).map(drop)
    }

    /// Echoes over TLS, in the scenarios that have it; also memory and handshakes if all scenarios were
    /// chosen.
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
        self.keep(
            "tls-memory",
            &Run { rounds: 1, ..self.run(None, &watch) },
            &results,
            &table::tls_memory(&results),
        )?;

        let (watch, count) = (Watch::start(), self.connections(5000));
        let results = standing::tls_accept(&bench, peers, count, self.rounds, failures);
        self.keep("tls-accept", &self.run(None, &watch), &results, &tls::accept(&results))
    }

    /// Echoes under axum, and memory if all scenarios were chosen.
    pub(crate) fn axum(
        &self,
        is_all: bool,
        (scenarios, peers): (&[&Scenario], &[Peer]),
        failures: &mut Vec<String>,
    ) -> Result<()> {
        if !scenarios.is_empty() {
            self.echoes(&self.bench, "axum", frameworks::axum, (scenarios, peers), failures)?;
        }
        if !is_all {
            return Ok(());
        }
        let watch = Watch::start();
        let results = standing::memory(&self.bench, peers, self.connections(10_000), failures);
        let run = Run { rounds: 1, ..self.run(None, &watch) };
        self.keep("axum-memory", &run, &results, &table::axum_memory(&results))
    }

    /// Echoes over HTTP/2, in the scenarios that have it.
    pub(crate) fn http2(
        &self,
        scenarios: &[&Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let scenarios = frameworks::over_http2(scenarios);
        if scenarios.is_empty() {
            return Ok(());
        }
        let bench = self.bench.over_http2();
        let table = frameworks::http2;
        self.echoes(&bench, "http2", table, (&scenarios, peers), failures).map(drop)
    }

    fn echoes(
        &self,
        bench: &Bench,
        name: &str,
        table: fn(&[EchoScenario]) -> String,
        (scenarios, peers): (&[&Scenario], &[Peer]),
        failures: &mut Vec<String>,
    ) -> Result<(Vec<EchoScenario>, Run)> {
        let (watch, pace) = (Watch::start(), self.pace());
        let results = echoing::measure(bench, scenarios, peers, pace, failures);
        println!("{}", table::details(&results));
        let run = self.run(Some(pace.seconds()), &watch);
        self.keep(name, &run, &results, &table(&results))?;
        Ok((results, run))
    }

    pub(crate) fn compressed_memory(
        &self,
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (watch, count) = (Watch::start(), self.connections(10_000));
        let results = standing::compressed_memory(&self.bench, peers, count, failures);
        let run = Run { rounds: 1, ..self.run(None, &watch) };
        self.keep("compressed-memory", &run, &results, &table::compressed_memory(&results))
    }

    pub(crate) fn memory(&self, peers: &[Peer], failures: &mut Vec<String>) -> Result<()> {
        let watch = Watch::start();
        let results = standing::memory(&self.bench, peers, self.connections(10_000), failures);
        self.keep(
            "memory",
            &Run { rounds: 1, ..self.run(None, &watch) },
            &results,
            &table::memory(&results),
        )
    }

    pub(crate) fn accept(&self, peers: &[Peer], failures: &mut Vec<String>) -> Result<()> {
        let (watch, count) = (Watch::start(), self.connections(5000));
        let results = standing::accept(&self.bench, peers, count, self.rounds, failures);
        self.keep("accept", &self.run(None, &watch), &results, &table::accept(&results))
    }

    pub(crate) fn cores(
        &self,
        scenarios: &[&Scenario],
        peers: &[&Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (watch, pace) = (Watch::start(), self.pace());
        let results = cores::measure(&self.bench, scenarios, peers, pace, failures);
        self.keep(
            "cores",
            &self.run(Some(pace.seconds()), &watch),
            &results,
            &table::cores(&results),
        )
    }

    /// The effect of one connection on the others, with these servers.
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
        self.keep("fairness", &self.run(Some(seconds), &watch), &results, &fair::table(&results))
    }

    /// Fan-out, with these servers.
    pub(crate) fn fanout(
        &self,
        scenarios: &[&fanout::Scenario],
        peers: &[Peer],
        failures: &mut Vec<String>,
    ) -> Result<()> {
        let (watch, pace) = (Watch::start(), self.pace());
        let results = fanout::measure(&self.bench, scenarios, peers, pace, failures);
        let run = self.run(Some(pace.seconds()), &watch);
        self.keep("fanout", &run, &results, &fanout::table(&results))
    }

    /// Clients of these names, and masking.
    pub(crate) fn clients(&self, names: &[String], failures: &mut Vec<String>) -> Result<()> {
        let watch = Watch::start();
        let ways: Vec<_> = clients::WAYS.into_iter().filter(|way| way.is_among(names)).collect();
        let results = clients::measure(&self.bench, &ways, self.rounds, self.quick, failures);
        let run = self.run(Some(clients::seconds(self.quick)), &watch);
        self.keep("client", &run, &results, &table::clients(&results))?;

        let watch = Watch::start();
        let speeds = clients::masking(&self.bench, self.quick)?;
        let run = Run { rounds: 1, ..self.run(None, &watch) };
        self.keep("masking", &run, &speeds, &table::masking(&speeds))
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

    fn keep<T: Serialize>(&self, name: &str, run: &Run, results: &[T], table: &str) -> Result<()> {
        println!("\n{table}\n{}", run.about());
        writing::keep(self.out, name, &self.machine, run, results)?;
        let Some(published) = self.published else { return Ok(()) };
        let summary = writing::summary(table, &self.machine, run);
        writing::publish(&published.join("README.md"), name, &summary)
    }
}
