//! A run: a server and its clients, what they do, and what befalls them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use towline::http::StatusCode;
use towline::{
    Client, CloseCode, Config, Connection, Dial, DialError, Reconnecting, Retry, Server,
    ServerHandle,
};

use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::link::{CLIENT, Link, SERVER, Sabotage};
use crate::plan::{self, Plan};
use crate::program::{End, Faults};
use crate::socket::Socket;

/// Longer than every deadline of every configuration.
const LONG: Duration = Duration::from_secs(150);

const MOST_CLIENTS: usize = 12;

/// More than a client dials in a run: its links have the numbers from its own times this on.
const PER_CLIENT: usize = 10_000;

/// A link, and the two ends of the connection on it as far as it was established.
pub(crate) struct Dialled {
    pub(crate) link: Arc<Link>,
    /// The server's start that it was made to.
    start: u64,
    pub(crate) ends: [Option<Arc<Mutex<Ledger>>>; 2],
}

/// What all parts of a run share.
#[derive(Clone)]
pub(crate) struct World {
    dice: Dice,
    pub(crate) faults: Faults,
    /// The end of the run. A channel would wake tasks in an order of its own.
    over: Instant,
    state: Arc<Mutex<State>>,
    sabotage: Option<Sabotage>,
}

#[derive(Default)]
struct State {
    /// By number: a client's links are consecutive.
    dialled: BTreeMap<usize, Dialled>,
    /// `None` while it is down.
    server: Option<ServerHandle>,
    starts: u64,
    /// The programs of the server's connections.
    programs: BTreeMap<usize, JoinHandle<()>>,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.over
    }

    /// Returns a new link to the server, if that is up. Its number is the path to ask for.
    fn dial(&self, client: usize) -> Result<(usize, Socket), DialError> {
        let mut state = self.lock();
        let Some(server) = state.server.clone() else {
            return Err(DialError::retry("connection refused"));
        };
        // It does not depend on what other clients do.
        let first = client * PER_CLIENT;
        let made = state.dialled.range(first..first + PER_CLIENT).count();
        let number = first + made;
        let mut dice = self.dice.of(1_000 + number as u64);
        let shape = plan::shape(&mut dice);
        let (link, [near, far]) = Link::new(dice, shape, self.sabotage);
        let dialled = Dialled { link, start: state.starts, ends: [None, None] };
        state.dialled.insert(number, dialled);
        server.serve(far, Some(([10, 0, 0, 1], 4_000).into()));
        Ok((number, near))
    }

    /// Returns the program for a connection, and its dice.
    fn end(&self, link: usize, side: usize, config: &Config) -> (End, Dice) {
        let mut dice = self.dice.of(2_000_000 + 2 * link as u64 + side as u64);
        let plan = Plan::new(&mut dice);
        let mut ledger = Ledger::new(link, side, config.clone());
        ledger.is_whole = plan.senders == 0;
        let ledger = Arc::new(Mutex::new(ledger));
        if let Some(dialled) = self.lock().dialled.get_mut(&link) {
            dialled.ends[side] = Some(ledger.clone());
        }
        (
            End {
                ledger,
                plan,
                faults: self.faults.clone(),
                over: self.over + Duration::from_millis(link as u64 % 97),
            },
            dice,
        )
    }

    /// Returns the latest link of some client.
    fn link(&self, dice: &mut Dice) -> Option<Arc<Link>> {
        let state = self.lock();
        let first = dice.size(0, MOST_CLIENTS - 1) * PER_CLIENT;
        let latest = state.dialled.range(first..first + PER_CLIENT).next_back();
        latest.map(|(_, dialled)| dialled.link.clone())
    }

    /// A client that connects again until the run is over, or its program has ended.
    async fn client(self, number: usize) {
        let mut dice = self.dice.of(10_000 + number as u64);
        sleep(dice.millis(0, 20_000)).await;
        let mut incarnations = 0;
        while !self.is_over() && incarnations < 4 {
            incarnations += 1;
            let life = self.clone().live(number, dice.of(incarnations));
            if !dice.once_in(6) {
                life.await;
                return;
            }
            // The host crashes, and is back later.
            let mut life = JoinSet::from_iter([life]);
            let _ = timeout(dice.millis(0, 40_000), life.join_next()).await;
            let mine = self.crash(CLIENT, |link, _| link / PER_CLIENT == number);
            life.shutdown().await;
            sleep(dice.millis(0, 40_000)).await;
            mine.iter().for_each(|link| link.come_back(CLIENT));
        }
    }

    /// The life of a client's process: a few connections, one after the other.
    async fn live(self, number: usize, mut dice: Dice) {
        let config = plan::config(&mut dice);
        let client = Client::new().config(config.clone()).connect_timeout(dice.millis(500, 8_000));
        let mut connecting = self.reconnecting(number, client, &mut dice);
        for _ in 0..dice.between(1, 4) {
            let next = tokio::select! { biased;
                next = connecting.next() => next,
                () = sleep_until(self.over) => return,
            };
            let Ok(Some(connection)) = next else { return };
            let link = link_of(&connection);
            let (end, dice) = self.end(link, CLIENT, &config);
            end.run(connection, dice).await;
        }
    }

    fn reconnecting(&self, number: usize, client: Client, dice: &mut Dice) -> Reconnecting {
        let world = self.clone();
        let delay = dice.millis(10, 4_000);
        let dialling = client.reconnecting(move |_| {
            let dialled = world.dial(number);
            async move {
                let (number, near) = dialled?;
                Ok::<_, DialError>(Dial::over(near, format!("ws://sim/{number}")))
            }
        });
        // The default delay is random, beyond the seed.
        dialling.retry_if(move |_| Retry::After(delay))
    }

    /// Crashes a host. Returns its links.
    fn crash(&self, side: usize, is_its: impl Fn(usize, &Dialled) -> bool) -> Vec<Arc<Link>> {
        let state = self.lock();
        let mut links = Vec::new();
        for (number, dialled) in &state.dialled {
            if !is_its(*number, dialled) {
                continue;
            }
            if let Some(ledger) = &dialled.ends[side] {
                ledger.lock().unwrap_or_else(PoisonError::into_inner).has_crashed = true;
            }
            dialled.link.crash(side);
            links.push(dialled.link.clone());
        }
        links
    }

    /// A server that is restarted now and then: with a shutdown, or after a crash.
    async fn server(self) {
        let mut dice = self.dice.of(7);
        loop {
            let config = plan::config(&mut dice);
            let server = Server::builder().config(config.clone()).build();
            let start = {
                let mut state = self.lock();
                state.server = Some(server.handle());
                state.starts += 1;
                state.starts
            };
            let handle = server.handle();
            let mut accepting =
                JoinSet::from_iter([self.clone().accept(server, config, dice.of(8))]);
            let uptime = dice.millis(10_000, 200_000);
            let is_over = timeout(uptime, sleep_until(self.over)).await.is_ok();
            self.lock().server = None;
            if is_over || dice.once_in(2) {
                self.shut_down(&handle, &mut dice).await;
                while accepting.join_next().await.is_some() {}
                if is_over {
                    return;
                }
            } else {
                let links = self.crash(SERVER, |_, link| link.start == start);
                accepting.shutdown().await;
                let programs = std::mem::take(&mut self.lock().programs);
                programs.values().for_each(JoinHandle::abort);
                sleep(dice.millis(0, 30_000)).await;
                links.iter().for_each(|link| link.come_back(SERVER));
            }
            if self.is_over() {
                return;
            }
        }
    }

    /// A shutdown ends by its deadline, and leaves no connection.
    async fn shut_down(&self, handle: &ServerHandle, dice: &mut Dice) {
        let deadline = dice.choose(&[0, 500, 3_000, 10_000]);
        let deadline = Duration::from_millis(deadline);
        let most = deadline + Duration::from_millis(20);
        match timeout(most, handle.shutdown(CloseCode::GOING_AWAY, deadline)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.faults.add(format!("a shutdown fails: {error}")),
            Err(_) => self.faults.add(format!("a shutdown takes more than {most:?}")),
        }
        let left = handle.connections().len();
        if left > 0 {
            self.faults.add(format!("{left} connections are left by a shutdown"));
        }
    }

    /// Takes requests, until the server is shut down.
    async fn accept(self, mut server: Server, config: Config, dice: Dice) {
        while let Some(request) = server.next_request().await {
            let Ok(link) = request.path().trim_start_matches('/').parse::<usize>() else {
                self.faults.add(format!("a request for {:?}", request.path()));
                continue;
            };
            let mut dice = dice.of(link as u64);
            let delay = if dice.once_in(4) { dice.millis(0, 3_000) } else { Duration::ZERO };
            let is_rejected = dice.once_in(12);
            let (world, config) = (self.clone(), config.clone());
            let program = tokio::spawn(async move {
                sleep(delay).await;
                if is_rejected {
                    let _ = request.reject(StatusCode::SERVICE_UNAVAILABLE, "not now").await;
                } else if let Ok(connection) = request.accept().await {
                    let (end, dice) = world.end(link, SERVER, &config);
                    end.run(connection, dice).await;
                }
            });
            self.lock().programs.insert(link, program);
        }
    }

    /// What befalls the network.
    async fn weather(self) {
        let mut dice = self.dice.of(9);
        let calm = dice.choose(&[500, 3_000, 30_000, 1_000_000]);
        loop {
            let pause = sleep(dice.millis(calm / 10, calm));
            tokio::select! { biased;
                () = pause => {}
                () = sleep_until(self.over) => return,
            }
            let Some(link) = self.link(&mut dice) else { continue };
            let sides: &[usize] =
                dice.choose(&[&[CLIENT][..], &[SERVER][..], &[CLIENT, SERVER][..]]);
            if dice.once_in(5) {
                link.reset();
                continue;
            }
            // One way or both, for a moment or for ever.
            let time = dice.choose(&[200, 3_000, 30_000, 10_000_000]);
            let time = dice.millis(1, time);
            sides.iter().for_each(|side| link.hold(*side));
            tokio::spawn(async move {
                sleep(time.min(LONG)).await;
                sides.iter().for_each(|side| link.release(*side));
            });
        }
    }
}

fn link_of(connection: &Connection) -> usize {
    connection.path().trim_start_matches('/').parse().unwrap_or(usize::MAX)
}

/// What a run has come to.
pub(crate) struct Report {
    pub(crate) faults: Vec<String>,
    /// Equal for equal runs.
    pub(crate) trace: u64,
    pub(crate) connections: usize,
    pub(crate) messages: usize,
}

/// Runs a seed to its end.
pub(crate) async fn run(seed: u64, sabotage: Option<Sabotage>) -> Report {
    let faults = Faults::default();
    let mut dice = Dice::new(seed);
    let over = Instant::now() + dice.millis(5_000, 240_000);
    let state = Arc::default();
    let world = World { dice: dice.of(1), faults: faults.clone(), over, state, sabotage };

    let mut actors = JoinSet::new();
    actors.spawn(world.clone().server());
    if sabotage.is_none() {
        actors.spawn(world.clone().weather());
    }
    for number in 0..dice.choose(&[1, 2, 5, MOST_CLIENTS]) {
        actors.spawn(world.clone().client(number));
    }
    let all = async {
        while let Some(ended) = actors.join_next().await {
            if ended.is_err() {
                faults.add("a part of the run panicked");
            }
        }
        let programs = std::mem::take(&mut world.lock().programs);
        for program in programs.into_values() {
            if program.await.is_err_and(|error| error.is_panic()) {
                faults.add("a program of the server panicked");
            }
        }
    };
    if timeout_at(over + LONG, all).await.is_err() {
        faults.add(format!("the run is not over {LONG:?} after its end"));
    }
    // Partitions end, and so do all deadlines.
    sleep(2 * LONG).await;
    let left = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    if left > 0 {
        faults.add(format!("{left} tasks are left"));
    }
    let state = world.lock();
    for dialled in state.dialled.values() {
        crate::verdict::check(dialled, &faults);
    }
    let trace = state
        .dialled
        .values()
        .fold(seed, |sum, dialled| sum.rotate_left(7) ^ dialled.link.lock().trace);
    let ledgers = state.dialled.values().flat_map(|dialled| dialled.ends.iter().flatten());
    let messages = ledgers
        .map(|ledger| {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.received.values().map(Vec::len).sum::<usize>()
        })
        .sum();
    Report { faults: faults.take(), trace, connections: state.dialled.len(), messages }
}
