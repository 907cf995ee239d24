//! Adds up the results of shards: `towline bench --merge`. Histograms and counts are added exactly;
//! intervals are put on one clock.

mod clock;

mod shards;

mod intervals;

use std::collections::BTreeMap;

use crate::bench::merge::clock::seconds_of;
use crate::bench::merge::intervals::{Track, aligned};
use crate::bench::merge::shards::{in_order, whole_load};
use crate::bench::results::{Failures, Generator, Latencies, Phase, Results, Totals, add, precise};
use crate::bench::stored::Stored;
use crate::exit::{Exit, Failure};

/// Returns the results of the run of which these are all shards. One file with a whole run is that run.
///
/// # Errors
///
/// The files are not all shards of one run, each once.
pub(crate) fn merge(files: &[Stored]) -> Result<Results, Failure> {
    if let [Stored { results, .. }] = files
        && results.shard.is_none()
    {
        return Ok(results.clone());
    }
    let shards = in_order(files).map_err(|why| Failure::new(Exit::Usage, why))?;
    let shards: Vec<&Results> = shards.into_iter().map(|file| &file.results).collect();
    // There is at least one: `in_order` refuses none.
    whole(&shards).ok_or_else(|| Failure::new(Exit::Usage, "no file is given"))
}

fn whole(shards: &[&Results]) -> Option<Results> {
    let starts = shards.iter().map(|results| seconds_of(&results.started).unwrap_or_default());
    let starts: Vec<f64> = starts.collect();
    let begin = starts.iter().copied().fold(f64::INFINITY, f64::min);
    let first = shards.iter().zip(&starts).min_by(|(_, a), (_, b)| a.total_cmp(b))?.0;
    let tracks = shards
        .iter()
        .zip(&starts)
        .map(|(results, start)| Track { offset_s: start - begin, intervals: &results.intervals });
    let tracks: Vec<Track<'_>> = tracks.collect();
    let longest =
        |of: fn(&Results) -> f64| shards.iter().map(|results| of(results)).fold(0.0, f64::max);
    let ends =
        shards.iter().zip(&tracks).map(|(results, track)| track.offset_s + results.elapsed_s);
    Some(Results {
        format: first.format,
        program: first.program.clone(),
        started: first.started.clone(),
        url: first.url.clone(),
        load: whole_load(shards)?,
        shard: None,
        elapsed_s: ends.fold(0.0, f64::max),
        // They measure side by side, not one after the other.
        measured_s: longest(|results| results.measured_s),
        together_s: together(shards, &tracks),
        interrupted: shards.iter().any(|results| results.interrupted),
        totals: totals(shards),
        errors: errors(shards),
        close_codes: close_codes(shards),
        handshakes: latencies(shards.iter().map(|results| &results.handshakes)),
        latencies: latencies(shards.iter().map(|results| &results.latencies)),
        intervals: aligned(&tracks),
        generator: generator(shards),
    })
}

/// How long all shards measured at the same time, if that is less than nine tenths of the longest.
fn together(shards: &[&Results], tracks: &[Track<'_>]) -> Option<f64> {
    let longest = shards.iter().map(|results| results.measured_s).fold(0.0, f64::max);
    let spans = shards.iter().zip(tracks).filter_map(|(results, track)| {
        let first = track.intervals.iter().find(|interval| interval.phase == Phase::Measured)?;
        let start = track.offset_s + first.start_s;
        Some((start, start + results.measured_s))
    });
    let (from, to) = spans.fold((f64::NEG_INFINITY, f64::INFINITY), |(from, to), (start, end)| {
        (from.max(start), to.min(end))
    });
    let together = (to - from).max(0.0);
    (together < 0.9 * longest).then_some(together)
}

fn totals(shards: &[&Results]) -> Totals {
    let sum = |of: fn(&Totals) -> u64| {
        shards.iter().map(|results| of(&results.totals)).fold(0, u64::saturating_add)
    };
    Totals {
        opened: sum(|totals| totals.opened),
        failed: sum(|totals| totals.failed),
        lost: sum(|totals| totals.lost),
        compressed: sum(|totals| totals.compressed),
        messages_sent: sum(|totals| totals.messages_sent),
        messages_received: sum(|totals| totals.messages_received),
        bytes_sent: sum(|totals| totals.bytes_sent),
        bytes_received: sum(|totals| totals.bytes_received),
        unanswered: sum(|totals| totals.unanswered),
        mismatched: sum(|totals| totals.mismatched),
        sent_before: sum(|totals| totals.sent_before),
        received_before: sum(|totals| totals.received_before),
    }
}

fn errors(shards: &[&Results]) -> BTreeMap<String, Failures> {
    let mut all: BTreeMap<String, Failures> = BTreeMap::new();
    for (kind, failures) in shards.iter().flat_map(|results| &results.errors) {
        let sum = all.entry(kind.clone()).or_default();
        sum.count = sum.count.saturating_add(failures.count);
        if sum.example.is_empty() {
            sum.example.clone_from(&failures.example);
        }
    }
    all
}

fn close_codes(shards: &[&Results]) -> BTreeMap<u16, u64> {
    let mut all = BTreeMap::new();
    for (code, count) in shards.iter().flat_map(|results| &results.close_codes) {
        let sum: &mut u64 = all.entry(*code).or_default();
        *sum = sum.saturating_add(*count);
    }
    all
}

fn latencies<'a>(parts: impl Iterator<Item = &'a Latencies> + Clone) -> Latencies {
    let mut histogram = precise();
    for part in parts.clone() {
        add(&mut histogram, &part.histogram);
    }
    let mut sum = Latencies::of(&histogram);
    // The histogram has the bounds of its buckets instead.
    let measured = || parts.clone().filter(|part| part.count > 0);
    sum.min_ns = measured().map(|part| part.min_ns).min().unwrap_or_default();
    sum.max_ns = measured().map(|part| part.max_ns).max().unwrap_or_default();
    sum
}

/// Times of processors are added up. Shards may share a machine or not, so the machine is the one with
/// the most cores, or the busiest. So is the generator that was the busiest.
fn generator(shards: &[&Results]) -> Generator {
    let all = || shards.iter().map(|results| &results.generator);
    let known = |of: fn(&Generator) -> Option<f64>| all().map(of).sum::<Option<f64>>();
    let reasons = |of: fn(&Generator) -> Option<&String>| {
        let reasons: Vec<String> = (1..)
            .zip(all())
            .filter_map(|(index, one)| Some(format!("shard {index}: {}", of(one)?)))
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    };
    Generator {
        cpu_s: known(|one| one.cpu_s),
        measured_cpu_s: known(|one| one.measured_cpu_s),
        busy_percent: all().filter_map(|one| one.busy_percent).reduce(f64::max),
        machine_percent: all().filter_map(|one| one.machine_percent).reduce(f64::max),
        wall_s: all().map(|one| one.wall_s).fold(0.0, f64::max),
        cores: all().map(|one| one.cores).max().unwrap_or_default(),
        threads: all().map(|one| one.threads).fold(0, u64::saturating_add),
        late_sends: all().map(|one| one.late_sends).fold(0, u64::saturating_add),
        latest_send_ns: all().map(|one| one.latest_send_ns).max().unwrap_or_default(),
        bottleneck: reasons(|one| one.bottleneck.as_ref()),
        contention: reasons(|one| one.contention.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::bench::results::{Pacing, Scenario, Shard};
    use crate::bench::sample;

    fn files(shards: Vec<Results>) -> Vec<Stored> {
        let named =
            |(index, results)| Stored { path: PathBuf::from(format!("{index}.json")), results };
        (1..).zip(shards).map(named).collect()
    }

    fn refusal(shards: Vec<Results>) -> String {
        merge(&files(shards)).unwrap_err().message
    }

    #[test]
    fn shards_add_up_to_the_whole() {
        let (whole, shards) = sample::divided(30, 3);
        let mut merged = merge(&files(shards)).unwrap();
        assert_eq!(merged.load.pacing, whole.load.pacing);
        // Means are of different orders of addition.
        assert!((merged.latencies.mean_ns - whole.latencies.mean_ns).abs() < 1e-3);
        merged.latencies.mean_ns = whole.latencies.mean_ns;
        assert!((merged.latencies.stddev_ns - whole.latencies.stddev_ns).abs() < 1e-3);
        merged.latencies.stddev_ns = whole.latencies.stddev_ns;
        assert_eq!(merged, whole);
    }

    #[test]
    fn the_order_of_the_files_does_not_matter() {
        let (_, mut shards) = sample::divided(10, 3);
        let forwards = merge(&files(shards.clone())).unwrap();
        shards.reverse();
        assert_eq!(merge(&files(shards)).unwrap(), forwards);
    }

    #[test]
    fn shards_that_began_later_are_put_on_one_clock_and_nothing_is_lost() {
        let (whole, mut shards) = sample::divided(20, 2);
        shards[1].started = "2026-03-01T12:00:02.750Z".to_owned();
        let merged = merge(&files(shards)).unwrap();
        assert_eq!(merged.started, whole.started);
        assert!((merged.elapsed_s - whole.elapsed_s - 2.75).abs() < 1e-6);
        let sum = |results: &Results, of: fn(&crate::bench::results::Interval) -> u64| {
            results.intervals.iter().map(of).sum::<u64>()
        };
        for of in [
            (|interval| interval.messages_sent) as fn(&crate::bench::results::Interval) -> u64,
            |interval| interval.messages_received,
            |interval| interval.bytes_received,
            |interval| interval.opened,
            |interval| interval.errors,
            |interval| interval.histogram.iter().map(|(_, count)| count).sum(),
        ] {
            assert_eq!(sum(&merged, of), sum(&whole, of));
        }
        // Only the first shard is there.
        assert!(merged.intervals[1].connections <= 60);
        assert_eq!(merged.intervals[1].phase, Phase::Ramp);
        let ends: Vec<f64> = merged.intervals.iter().map(|i| i.start_s + i.length_s).collect();
        let starts = merged.intervals.iter().map(|i| i.start_s);
        for (end, start) in ends.iter().zip(starts.skip(1)) {
            assert!((end - start).abs() < 1e-9);
        }
        // A second that both measure has what both did.
        let middle = &merged.intervals[10];
        let whole = &whole.intervals[10];
        assert_eq!(middle.phase, Phase::Measured);
        assert!(middle.messages_received.abs_diff(whole.messages_received) < 2_000);
    }

    #[test]
    fn shards_that_hardly_measured_together_are_warned_of() {
        let (_, mut shards) = sample::divided(20, 2);
        shards[1].started = "2026-03-01T12:00:01.000Z".to_owned();
        assert_eq!(merge(&files(shards.clone())).unwrap().together_s, None);
        shards[1].started = "2026-03-01T12:00:12.000Z".to_owned();
        let merged = merge(&files(shards)).unwrap();
        assert!((merged.together_s.unwrap() - 8.0).abs() < 0.1, "{:?}", merged.together_s);
        let table = crate::bench::summary::table(&merged, 200);
        assert!(table.contains("at the same time for 8.0 s of 20.0 s"), "{table}");
        assert!(crate::bench::report::html(&merged).contains("8.0 s of 20.0 s"));
    }

    #[test]
    fn the_rate_of_a_broadcast_is_that_of_its_publisher() {
        let (_, mut shards) = sample::divided(5, 3);
        for results in &mut shards {
            results.load.scenario = Scenario::Broadcast;
            results.load.pacing = Pacing::Open { messages_per_s: 100.0 };
            results.load.messages = Some(500);
        }
        shards[2].load.connections += 1;
        let load = merge(&files(shards)).unwrap().load;
        assert_eq!(load.pacing, Pacing::Open { messages_per_s: 100.0 });
        assert_eq!((load.messages, load.connections), (Some(500), 181));
    }

    #[test]
    fn a_shard_that_is_missing_is_named() {
        let (_, mut shards) = sample::divided(5, 3);
        let last = shards.pop().unwrap();
        assert_eq!(refusal(shards.clone()), "shard 3 of 3 is missing");
        assert_eq!(refusal(vec![shards[1].clone(), last]), "shard 1 of 3 is missing");
        assert_eq!(refusal(vec![shards[1].clone()]), "shard 1 of 3 is missing");
    }

    #[test]
    fn a_shard_that_is_there_twice_is_named_with_both_files() {
        let (_, mut shards) = sample::divided(5, 2);
        shards.push(shards[0].clone());
        assert_eq!(refusal(shards), "shard 1 of 2 is there twice: 1.json and 3.json");
    }

    #[test]
    fn shards_of_different_runs_are_refused_with_what_differs() {
        let (_, shards) = sample::divided(5, 2);
        let other = |change: fn(&mut Results)| {
            let mut shards = shards.clone();
            change(&mut shards[1]);
            refusal(shards)
        };
        for (message, difference) in [
            (
                other(|r| r.url = "ws://other/".to_owned()),
                "the URL is ws://127.0.0.1:9001/ and ws://other/",
            ),
            (other(|r| r.load.warm_up_s = 9.0), "the warm-up is 2 s and 9 s"),
            (
                other(|r| r.load.pacing = Pacing::Closed { in_flight: 4 }),
                "the loop is closed with 1 in flight",
            ),
            (other(|r| r.load.payload.bytes = 5), "the payload is size of 64 B and size of 5 B"),
            (other(|r| r.load.compression = Some(6)), "the compression is none and 6"),
            (
                other(|r| r.load.protocols = vec!["chat".to_owned()]),
                "the subprotocol is none and chat",
            ),
            (
                other(|r| r.load.connections = 62),
                "connections are 60 and 62, which are no even parts",
            ),
            (other(|r| r.load.messages = Some(9)), "messages are 0 and 9"),
            (other(|r| r.started = "2026-03-02T12:00:00Z".to_owned()), "not run at the same time"),
            (other(|r| r.started = "noon".to_owned()), "\"noon\" in 2.json is no time"),
            (
                other(|r| r.shard = Some(Shard { index: 2, count: 3 })),
                "one is of 2 shards, the other of 3",
            ),
        ] {
            assert!(
                message.starts_with("1.json and 2.json are shards of different runs: "),
                "{message}"
            );
            assert!(message.contains(difference), "{difference:?} is not in {message:?}");
        }
        assert!(other(|r| r.shard = None).starts_with("2.json is a whole run"));
        let open = |messages_per_s| Pacing::Open { messages_per_s };
        let mut shards = shards.clone();
        (shards[0].load.pacing, shards[1].load.pacing) = (open(600.0), open(900.0));
        assert!(refusal(shards).contains("the rate of a connection is 10.000/s and 15.000/s"));
    }

    #[test]
    fn numbers_that_no_shard_has_are_refused() {
        let (_, shards) = sample::divided(5, 2);
        let numbered = |numbers: [u64; 2], count| {
            let mut shards = shards.clone();
            for (results, index) in shards.iter_mut().zip(numbers) {
                results.shard = Some(Shard { index, count });
            }
            refusal(shards)
        };
        assert_eq!(numbered([0, 1], 2), "shard 1 of 2 is missing");
        assert_eq!(numbered([1, 3], 2), "shard 2 of 2 is missing");
        assert_eq!(numbered([1, 2], u64::MAX), format!("shard 3 of {} is missing", u64::MAX));
        assert_eq!(numbered([1, 2], 1), "2.json is shard 2 of 1");
        assert_eq!(numbered([1, 2], 0), "2.json is shard 2 of 0");
        assert_eq!(merge(&[]).unwrap_err().message, "no file is given");
    }

    #[test]
    fn a_whole_run_is_itself_and_a_divided_one_without_messages_adds_up() {
        let run = sample::echo(5);
        assert_eq!(merge(&files(vec![run.clone()])).unwrap(), run);
        let mut shards = vec![sample::silent(), sample::silent()];
        for (index, results) in (1..).zip(&mut shards) {
            results.shard = Some(Shard { index, count: 2 });
        }
        let merged = merge(&files(shards)).unwrap();
        assert_eq!((merged.latencies.count, merged.totals.messages_received), (0, 0));
    }

    #[test]
    fn figures_of_a_file_never_overflow() {
        let (_, mut shards) = sample::divided(5, 2);
        for results in &mut shards {
            results.totals.messages_sent = u64::MAX;
            results.load.connections = u64::MAX;
            results.generator.late_sends = u64::MAX;
            results.latencies.histogram = vec![(1, u64::MAX), (u64::MAX, u64::MAX)];
            for interval in &mut results.intervals {
                (interval.messages_sent, interval.connections) = (u64::MAX, u64::MAX);
                interval.length_s = 1e-9;
            }
        }
        let merged = merge(&files(shards)).unwrap();
        assert_eq!(merged.totals.messages_sent, u64::MAX);
    }
}
