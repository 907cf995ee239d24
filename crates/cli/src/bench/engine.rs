//! Runs a load from its ramp to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use towline::Tls;

use crate::bench::display::{Display, Progress};
use crate::bench::judge::{self, Usage};
use crate::bench::lack::Lack;
use crate::bench::options::Options;
use crate::bench::plan;
use crate::bench::results::{Results, Scenario};
use crate::bench::run::{Plan, Run, Stage};
use crate::bench::silence::Silence;
use crate::bench::tally::{Look, Part, Whole};
use crate::bench::threads::Threads;
use crate::bench::timeline::Timeline;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;

/// How often to look whether a phase is over.
const LOOK: Duration = Duration::from_millis(50);

/// The same where the end decides on the result: when the last of --messages is answered.
const CLOSE_LOOK: Duration = Duration::from_millis(2);

/// Without a --duration, a run ends when nothing has been received for --drain, but no sooner than this.
const SILENCE: Duration = Duration::from_secs(1);

/// How long subscriptions of --on-open have to take effect before messages are measured, in nanoseconds.
const SUBSCRIBING: u64 = 250_000_000;

/// A phase that ends this soon is not divided once more, in nanoseconds.
const SOON: u64 = 100_000_000;

/// How long connections have to close when the user has asked to end twice.
const MOMENT: Duration = Duration::from_millis(100);

/// What a run ended with.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) results: Results,
    /// The first failure to connect, if there was one.
    pub(crate) failure: Option<Failure>,
}

struct Engine<'a> {
    options: &'a Options,
    run: Arc<Run>,
    threads: Threads,
    stage: watch::Sender<Stage>,
    timeline: Timeline,
    display: Display,
    /// When the stage began, in nanoseconds since the beginning of the run.
    since: u64,
    measured: Option<Measured>,
    /// When all connections were open, or had failed.
    settled: Option<u64>,
    silence: Silence,
    /// Whether the run ended because nothing more was received.
    ended_in_silence: bool,
    is_interrupted: bool,
}

/// What was known at the beginning and the end of the measured phase.
#[derive(Debug)]
struct Measured {
    start: u64,
    end: u64,
    before: Usage,
    after: Usage,
}

/// Runs the load of a plan, which is that of the options.
///
/// # Errors
///
/// The run can't begin.
pub(crate) async fn run(
    options: &Options,
    plan: Plan,
    tls: Option<Tls>,
    mut interrupts: Interrupts,
) -> Result<Outcome, Failure> {
    let load = plan.load(options);
    let started = judge::utc_now();
    let (stage, stages) = watch::channel(Stage::Ramp);
    let run = Arc::new(Run::new(plan, stages));
    let threads = Threads::start(&run, || options.client(tls.clone()))?;
    let mut engine = Engine {
        options,
        run,
        threads,
        stage,
        timeline: Timeline::new(),
        display: Display::new(!options.quiet),
        since: 0,
        measured: None,
        settled: None,
        silence: Silence::default(),
        ended_in_silence: false,
        is_interrupted: false,
    };
    let conducted = engine.conduct(&mut interrupts).await;
    engine.display.clear();
    conducted?;
    Ok(engine.outcome(load, started))
}

impl Engine<'_> {
    /// Goes from stage to stage. Afterwards all threads have ended.
    async fn conduct(&mut self, interrupts: &mut Interrupts) -> Result<(), Failure> {
        loop {
            let now = self.run.now();
            let look = Look::at(&self.threads.tallies);
            let is_useless = |failure: &mut Option<Failure>| {
                failure.take_if(|failure| failure.exit == Exit::Usage)
            };
            if let Some(failure) = self.run.with_failure(is_useless) {
                self.close(interrupts).await;
                return Err(failure);
            }
            match self.next(&look, now) {
                Some(Stage::Close) => {
                    self.close(interrupts).await;
                    return Ok(());
                }
                Some(next) => self.enter(next, now),
                None => {
                    let is_over = now >= self.timeline.end();
                    if is_over && self.end().is_none_or(|end| end > now + SOON) {
                        self.cut(now, self.stage_now());
                    }
                }
            }
            self.show(&look, now);
            self.wait(now, interrupts).await;
        }
    }

    fn stage_now(&self) -> Stage {
        *self.stage.borrow()
    }

    /// When the stage is over at the latest.
    fn end(&self) -> Option<u64> {
        let length = match self.stage_now() {
            Stage::Ramp => return None,
            Stage::WarmUp => self.options.warm_up,
            Stage::Measured => plan::duration(self.options)?,
            Stage::Drain | Stage::Close => self.options.drain,
        };
        Some(self.since.saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The next stage, if this one is over.
    fn next(&mut self, look: &Look, now: u64) -> Option<Stage> {
        let plan = &self.run.plan;
        let stage = self.stage_now();
        let is_over = self.end().is_some_and(|end| now >= end);
        let is_storm = plan.scenario == Scenario::Storm;
        // The tasks of a storm begin when handshakes are due, which can take long.
        let is_ramped = now >= u64::try_from(plan.ramp.as_nanos()).unwrap_or(u64::MAX);
        let is_tried = look.settled >= plan.connections;
        // Those of a storm with --messages wait for the end of the ramp.
        let is_begun = look.ever_opened > 0 || plan.messages.is_some() && plan.ramp.is_zero();
        let is_settled = is_tried || is_storm && is_ramped && is_begun;
        let is_refused = is_tried && look.ever_opened == 0;
        let subscribing = if plan.on_open.is_empty() { 0 } else { SUBSCRIBING };
        let is_alone = is_settled && look.open == 0 && !is_storm;
        match stage {
            Stage::Ramp | Stage::WarmUp | Stage::Measured if self.is_interrupted => {
                Some(Stage::Drain)
            }
            Stage::Ramp | Stage::WarmUp | Stage::Measured if is_refused => Some(Stage::Close),
            Stage::Ramp if !is_settled => None,
            Stage::Ramp if now < *self.settled.get_or_insert(now) + subscribing => None,
            Stage::Ramp if self.options.warm_up.is_zero() => Some(Stage::Measured),
            Stage::Ramp => Some(Stage::WarmUp),
            Stage::WarmUp => (is_over || is_alone).then_some(Stage::Measured),
            Stage::Measured => {
                let is_done = self.run.is_sold_out() && self.is_answered(look);
                let is_silent = self.options.duration.is_none()
                    && self.run.plan.messages.is_some()
                    && self.is_silent(look, now);
                self.ended_in_silence = is_silent;
                (is_over || is_alone || is_done || is_silent).then_some(Stage::Drain)
            }
            Stage::Drain => (is_over || is_alone || self.is_answered(look)).then_some(Stage::Close),
            Stage::Close => Some(Stage::Close),
        }
    }

    /// Whether nothing more is to come.
    fn is_answered(&self, look: &Look) -> bool {
        let deliveries = &self.run.deliveries;
        let done = deliveries.done.load(Ordering::Relaxed);
        look.outstanding == 0 && done >= deliveries.expected.load(Ordering::Relaxed)
    }

    /// How long nothing is received before the run ends by itself.
    fn patience(&self) -> Duration {
        self.options.drain.max(SILENCE)
    }

    fn is_silent(&mut self, look: &Look, now: u64) -> bool {
        let gap = self.run.plan.rate.map_or(0.0, |rate| 1e9 / rate);
        let patience = self.patience();
        let is_answered = self.is_answered(look);
        self.silence.look(look.received, is_answered, self.since, now);
        self.silence.is_over(patience, gap, now)
    }

    /// Says why nothing was measured, or what is missing at the end, whenever it was sent.
    fn count_missing(&self, now: u64) {
        let plan = &self.run.plan;
        let drain = self.options.drain;
        let Some(first) = self.threads.tallies.first() else { return };
        if let (Some(measured), Some(lack), false) =
            (&self.measured, Lack::of(&self.threads.tallies), self.is_interrupted)
        {
            let end = if measured.end > measured.start { measured.end } else { now };
            let lack =
                Lack { measured: end - measured.start, waited: now - measured.start, ..lack };
            if let Some((kind, why)) = lack.reason(plan) {
                first.lock().failed(kind, || why);
            }
        }
        if plan.scenario == Scenario::Echo {
            for tally in &self.threads.tallies {
                let mut counts = tally.lock();
                let count = counts.outstanding;
                counts.failed_times(count, "unanswered", || {
                    format!("a message was not answered; --drain waits {drain:?} at the end")
                });
            }
        }
        // In the other shards of a broadcast nobody publishes.
        let is_sender = plan.scenario != Scenario::Broadcast || plan.first == 0;
        let left = self.run.left();
        let is_to_end = self.options.duration.is_none() && !self.is_interrupted;
        if left > 0 && is_sender && is_to_end && self.measured.is_some() {
            first.lock().failed("incomplete", || {
                let why = match self.ended_in_silence {
                    true => {
                        format!("nothing was received for at least {:?} (--drain)", self.patience())
                    }
                    false => "no connection was left".to_owned(),
                };
                format!("the run ended with {left} of --messages left: {why}")
            });
        }
    }

    fn enter(&mut self, next: Stage, now: u64) {
        let usage = Usage::now();
        // Counted as the stage before up to here, thread by thread.
        self.cut(now, next);
        self.since = now;
        match (&mut self.measured, next) {
            (None, Stage::Measured) => {
                self.measured =
                    Some(Measured { start: now, end: now, before: usage, after: usage });
            }
            (Some(measured), Stage::Drain) => {
                measured.end = now;
                measured.after = usage;
            }
            _ => {}
        }
        self.stage.send_replace(next);
    }

    /// Ends the interval, and begins one of this stage.
    fn cut(&mut self, now: u64, next: Stage) {
        let mut part = Part::new();
        let mut open = 0;
        for tally in &self.threads.tallies {
            let mut counts = tally.lock();
            part.take(&mut counts.part);
            counts.phase = next.phase();
            open += counts.open;
        }
        self.timeline.cut(now, self.stage_now().phase(), open, &part);
    }

    fn show(&mut self, look: &Look, now: u64) {
        if !self.display.is_due() {
            return;
        }
        let progress = Progress {
            stage: self.stage_now(),
            elapsed: now.saturating_sub(self.since),
            end: self.end().map(|end| end.saturating_sub(self.since)),
            settled: look.settled,
            open: look.open,
            connections: self.run.plan.connections,
            done: look.received,
            messages: self.run.plan.messages,
            last: self.timeline.intervals.last().cloned(),
            is_handshakes: self.run.plan.scenario == Scenario::Storm,
            errors: judge::errors(&self.threads.tallies),
        };
        self.display.draw(&progress);
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, now: u64, interrupts: &mut Interrupts) {
        let is_counting = self.run.plan.messages.is_some() && self.stage_now() == Stage::Measured;
        let look = if is_counting { CLOSE_LOOK } else { LOOK };
        let mut until = now + u64::try_from(look.as_nanos()).unwrap_or(u64::MAX);
        until = until.min(self.timeline.end().max(now + 1_000_000));
        if let Some(end) = self.end() {
            until = until.min(end.max(now + 1_000_000));
        }
        let is_interrupted = self.is_interrupted;
        tokio::select! {
            () = tokio::time::sleep_until(self.run.at(until)) => {}
            () = interrupted(interrupts, is_interrupted) => {
                if is_interrupted {
                    self.stage.send_replace(Stage::Close);
                }
                self.is_interrupted = true;
            }
        }
    }

    /// Has all connections closed, and waits for the threads, unless the user asks to end once more.
    async fn close(&mut self, interrupts: &mut Interrupts) {
        let now = self.run.now();
        self.count_missing(now);
        self.cut(now, Stage::Close);
        if let Some(measured) =
            self.measured.as_mut().filter(|measured| measured.end == measured.start)
        {
            (measured.end, measured.after) = (now, Usage::now());
        }
        self.stage.send_replace(Stage::Close);
        let insisted = async {
            interrupts.second().await;
            tokio::time::sleep(MOMENT).await;
        };
        tokio::select! {
            () = self.threads.end(self.run.plan.close_timeout + Duration::from_secs(2)) => {}
            () = insisted => {}
        }
    }

    fn outcome(&self, load: crate::bench::results::Load, started: String) -> Outcome {
        let mut whole = Whole::new();
        for tally in &self.threads.tallies {
            whole.add(&tally.lock().whole);
        }
        let usage = match &self.measured {
            Some(measured) => judge::Cost {
                measured: measured.end.saturating_sub(measured.start),
                before: measured.before,
                after: measured.after,
            },
            None => judge::Cost { measured: 0, before: Usage::now(), after: Usage::now() },
        };
        let has_publisher = self.run.plan.first == 0;
        let results = judge::results(judge::Run {
            started,
            url: self.options.shown_url(),
            load,
            shard: self.options.shard,
            elapsed: self.run.now(),
            is_interrupted: self.is_interrupted,
            has_publisher,
            whole,
            intervals: self.timeline.intervals.clone(),
            cost: usage,
        });
        Outcome { results, failure: self.run.with_failure(Option::take) }
    }
}

/// Waits until the user asks to end, or asks once more.
async fn interrupted(interrupts: &mut Interrupts, is_first_over: bool) {
    match is_first_over {
        true => interrupts.second().await,
        false => interrupts.first().await,
    }
}
