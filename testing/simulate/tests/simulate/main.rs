//! Many connections on a simulated network and clock. One seed decides everything that happens, so
//! a seed that fails does so again.
//!
//! `cargo xtask simulate` runs as many seeds as you like, and `--seed N` one of them.

#![allow(clippy::unwrap_used, missing_docs)]

mod dice;

mod link;

mod socket;

mod ledger;

mod plan;

mod program;

mod world;

mod verdict;

use std::cell::Cell;
use std::env;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Once, mpsc};
use std::time::Duration;

use crate::link::Sabotage;
use crate::world::Report;

thread_local! {
    /// How often something has panicked on this thread, in tasks of the library too.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// How long a seed may take, in real time: thousands of times as long as it does.
const WATCHDOG: Duration = Duration::from_secs(300);

/// Runs a seed on a thread of its own: nothing is left there of earlier seeds.
fn simulate(seed: u64, sabotage: Option<Sabotage>) -> Report {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            before(info);
        }));
    });
    let (done, report) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // Timers fire in the same place, however many tasks ran before.
            .event_interval(1)
            .start_paused(true)
            .build()
            .unwrap();
        let mut report = runtime.block_on(world::run(seed, sabotage));
        let panics = PANICS.with(Cell::get);
        if panics > 0 {
            report.faults.push(format!("{panics} panics"));
        }
        let _ = done.send(report);
    });
    // A task that never lets time pass is not noticed by the simulated clock.
    let report = report.recv_timeout(WATCHDOG);
    report.unwrap_or_else(|error| {
        let what = match error {
            RecvTimeoutError::Timeout => "does not end",
            RecvTimeoutError::Disconnected => "panics",
        };
        panic!("seed {seed} {what}: cargo xtask simulate --seed {seed}")
    })
}

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value:?} is not a number")))
}

/// `SIMULATE_SEEDS` seeds from `SIMULATE_FROM` on.
#[test]
fn every_seed_keeps_the_promises() {
    let from = number("SIMULATE_FROM").unwrap_or(0);
    let count = number("SIMULATE_SEEDS").unwrap_or(50);
    let (mut failed, mut connections, mut messages) = (Vec::new(), 0, 0);
    for seed in from..from.saturating_add(count) {
        let report = simulate(seed, None);
        connections += report.connections;
        messages += report.messages;
        if !report.faults.is_empty() {
            println!("seed {seed} fails; to see it again: cargo xtask simulate --seed {seed}");
            report.faults.iter().for_each(|fault| println!("    {fault}"));
            failed.push(seed);
        }
    }
    println!("{count} seeds from {from}: {connections} connections, {messages} messages received");
    assert!(failed.is_empty(), "{} of {count} seeds fail: {failed:?}", failed.len());
}

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..20 {
        let [once, again] = [simulate(seed, None), simulate(seed, None)];
        assert_eq!(once.trace, again.trace, "seed {seed}");
        assert_eq!(once.messages, again.messages, "seed {seed}");
    }
}

#[test]
fn what_the_network_must_not_do_is_found() {
    for sabotage in [Sabotage::Lost, Sabotage::Twice, Sabotage::Flipped, Sabotage::Late] {
        let found = (0..20).filter(|seed| !simulate(*seed, Some(sabotage)).faults.is_empty());
        assert!(found.count() > 5, "{sabotage:?} is rarely found");
    }
}
