//! The threads of the generator: each has its runtime, its connections and its counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use towline::Client;

use crate::bench::echo::{self, Lanes};
use crate::bench::results::Scenario;
use crate::bench::run::{Run, Stage};
use crate::bench::storm::{self, Schedule};
use crate::bench::tally::Tally;
use crate::bench::worker::Worker;
use crate::bench::{broadcast, listen};
use crate::exit::{Exit, Failure};

/// The running threads.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) tallies: Vec<Arc<Tally>>,
    /// Ends when all threads have.
    ended: mpsc::Receiver<()>,
}

impl Threads {
    /// Starts the threads of a run. `client` makes the client of one.
    pub(crate) fn start(
        run: &Arc<Run>,
        client: impl Fn() -> Result<Client, Failure>,
    ) -> Result<Self, Failure> {
        let (still_there, ended) = mpsc::channel(1);
        let schedule = Arc::new(Schedule::default());
        let mut tallies = Vec::new();
        for index in 0..run.plan.threads {
            let tally = Arc::new(Tally::new());
            tallies.push(tally.clone());
            let worker = Arc::new(Worker::new(run.clone(), tally, index, client()?));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| cant_start(&error))?;
            let (schedule, still_there) = (schedule.clone(), still_there.clone());
            let thread = std::thread::Builder::new().name(format!("bench {index}"));
            let body = move || {
                runtime.block_on(work(worker, schedule));
                runtime.shutdown_background();
                drop(still_there);
            };
            thread.spawn(body).map_err(|error| cant_start(&error))?;
        }
        Ok(Self { tallies, ended })
    }

    /// Waits until all threads have ended, but not for ever.
    pub(crate) async fn end(&mut self, patience: Duration) {
        // Nothing is ever sent.
        let _ = tokio::time::timeout(patience, self.ended.recv()).await;
    }
}

fn cant_start(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unclean, format!("can't start a thread (--threads): {error}"))
}

/// What a thread does.
async fn work(worker: Arc<Worker>, schedule: Arc<Schedule>) {
    let plan = &worker.run.plan;
    let lanes = Arc::new(Lanes::default());
    let is_paced = plan.scenario == Scenario::Echo && plan.rate.is_some();
    let mut tasks = JoinSet::new();
    for number in worker.numbers() {
        let (worker, schedule) = (worker.clone(), schedule.clone());
        let lanes = is_paced.then(|| lanes.clone());
        tasks.spawn(async move { connection(&worker, number, lanes, &schedule).await });
    }
    if let Some(rate) = plan.rate.filter(|_| is_paced) {
        let worker = worker.clone();
        tasks.spawn(async move {
            let (rate, offset) = part(&worker, rate);
            if let Err(error) = echo::send(&worker, &lanes, rate, offset).await {
                worker.give_up("can't make a timer", &error);
            }
        });
    }
    worker.run.reached(Stage::Close).await;
    worker.close();
    let all = async { while tasks.join_next().await.is_some() {} };
    // Tasks that are left end with the runtime.
    let _ = tokio::time::timeout(worker.patience(), all).await;
}

/// This thread's part of the rate, and where it begins, so that threads send in turn.
#[allow(clippy::cast_precision_loss)]
fn part(worker: &Worker, rate: f64) -> (f64, f64) {
    let plan = &worker.run.plan;
    let own = worker.numbers().count() as f64 / plan.connections as f64;
    (rate * own, worker.index as f64 / plan.threads as f64)
}

/// Opens a connection when its turn has come, and runs it.
async fn connection(worker: &Worker, number: u64, lanes: Option<Arc<Lanes>>, schedule: &Schedule) {
    if !worker.turn(number).await {
        return;
    }
    let scenario = worker.run.plan.scenario;
    if scenario == Scenario::Storm {
        storm::run(worker, schedule).await;
        return;
    }
    let Some(connection) = worker.open(number).await else { return };
    match scenario {
        Scenario::Echo => echo::run(worker, number, connection, lanes.as_deref()).await,
        Scenario::Broadcast => broadcast::run(worker, number, connection).await,
        Scenario::Push | Scenario::Idle | Scenario::Storm => listen::run(worker, connection).await,
    }
}
