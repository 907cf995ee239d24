//! The scenarios and the peers that the options choose, and their lists.

use anyhow::{Result, bail};

use crate::bench::peer::{Peer, Source};
use crate::bench::scenario::{SCENARIOS, Scenario};
use crate::bench::{Options, fair, fanout, peer};

/// The scenarios to measure.
pub(crate) struct Chosen {
    pub(crate) echoes: Vec<&'static Scenario>,
    /// With `--fair`, the effect of one connection on others.
    pub(crate) unfair: Vec<&'static fair::Scenario>,
    /// With `--fanout`.
    pub(crate) fanned: Vec<&'static fanout::Scenario>,
}

pub(crate) fn choose_scenarios(options: &Options) -> Result<Chosen> {
    let chosen = |scenario: &str| {
        let mut names = options.scenario.iter();
        options.scenario.is_empty() || names.any(|name| scenario.starts_with(name.as_str()))
    };
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|scenario| chosen(scenario.name)).collect();
    let is_fair = options.fair || options.scenario.is_empty();
    let unfair = fair::SCENARIOS.iter().filter(|scenario| is_fair && chosen(scenario.name));
    let unfair: Vec<_> = unfair.collect();
    let is_fanout = options.fanout || options.scenario.is_empty();
    let fanned = fanout::SCENARIOS.iter().filter(|scenario| is_fanout && chosen(scenario.name));
    let fanned: Vec<_> = fanned.collect();
    for name in &options.scenario {
        let of = |scenario: &str| scenario.starts_with(name.as_str());
        let is_known = scenarios.iter().any(|scenario| of(scenario.name))
            || unfair.iter().any(|scenario| of(scenario.name))
            || fanned.iter().any(|scenario| of(scenario.name));
        if !is_known {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            let fair: Vec<_> = fair::SCENARIOS.iter().map(|scenario| scenario.name).collect();
            let fanout: Vec<_> = fanout::SCENARIOS.iter().map(|scenario| scenario.name).collect();
            bail!(
                "there is no scenario {name:?}; there are {}; with --fair {}; and with --fanout {}",
                names.join(", "),
                fair.join(", "),
                fanout.join(", ")
            );
        }
    }
    if options.echo && scenarios.iter().all(|scenario| scenario.is_compressed()) {
        bail!("--echo is for scenarios without compression; these are for --compressed");
    }
    if (options.axum || options.http2) && scenarios.iter().all(|scenario| scenario.is_compressed())
    {
        bail!(
            "--axum and --http2 are for scenarios without compression; these are for --compressed"
        );
    }
    if options.compressed && !scenarios.iter().any(|scenario| scenario.is_compressed()) {
        bail!("--compressed is for scenarios with compression; these are for --echo");
    }
    Ok(Chosen { echoes: scenarios, unfair, fanned })
}

pub(crate) fn choose_peers(options: &Options) -> Result<Vec<Peer>> {
    let all = peer::all(options.uws.as_deref());
    let frameworks = peer::frameworks();
    let fanout = peer::fanning_out(options.uws.as_deref());
    for name in &options.peer {
        let mut known = all.iter().chain(&frameworks).chain(&fanout);
        if !known.any(|peer| peer.is_called(name)) {
            let known = all.iter().chain(&frameworks).chain(&fanout);
            let mut names: Vec<_> = known.map(|peer| peer.name).collect();
            names.sort_unstable();
            names.dedup();
            bail!("unknown peer {name:?}; the peers are {}", names.join(", "));
        }
    }
    Ok(chosen(options, all))
}

/// Those of these peers that were chosen.
pub(crate) fn chosen(options: &Options, peers: Vec<Peer>) -> Vec<Peer> {
    let chosen = |peer: &Peer| {
        let mut names = options.peer.iter();
        let unasked = peer.is_floor() || peer.source == Source::Given;
        options.peer.is_empty() || unasked || names.any(|name| peer.is_called(name))
    };
    peers.into_iter().filter(chosen).collect()
}

pub(crate) fn list(
    scenarios: &[&Scenario],
    unfair: &[&fair::Scenario],
    peers: &[Peer],
    frameworks: &[Peer],
) {
    for scenario in scenarios {
        println!("{:<26} {}", scenario.name, scenario.about());
    }
    println!();
    for scenario in unfair {
        let about = scenario.about.replace("{held}", &scenario.held.to_string());
        println!("{:<26} {about}", scenario.name);
    }
    println!();
    for peer in peers {
        println!("{:<26} {}", peer.name, peer.about);
    }
    println!();
    for peer in frameworks {
        println!("{:<26} {}, for --axum and --http2", peer.name, peer.about);
    }
}

pub(crate) fn list_fanout(scenarios: &[&fanout::Scenario], peers: &[Peer]) {
    println!();
    for scenario in scenarios {
        let about = scenario.about.replace("{members}", &scenario.members.to_string());
        println!("{:<26} {about}, for --fanout", scenario.name);
    }
    println!();
    for peer in peers {
        println!("{:<26} {}, for --fanout", peer.name, peer.about);
    }
}
