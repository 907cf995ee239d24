//! All topics, and the state of each.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::hash::BuildHasher as _;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use tokio::sync::{Notify, Semaphore, broadcast};
use towline_proto::{Compress, Message};

use crate::connection::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, RandomState, Runtime,
};
use crate::connection::{Group, GroupKey, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::topics::event::TopicsEvent;
use crate::topics::options::TopicOptions;
use crate::topics::queue::{Queue, cost};
use crate::topics::relay::Relay;
use crate::topics::stats::{TopicStats, TopicsStats};

/// The most bytes that the name of a topic can have.
pub(crate) const MAX_NAME: usize = 512;

/// The topics are kept in this many parts, so that threads rarely contend for a lock.
const PARTS: usize = 32;

/// A map of topics with room for four times as many does not get smaller.
const SPARE: usize = 32;

/// How many events a subscriber can be behind by.
const EVENTS: usize = 256;

/// Chooses the options of a topic by its name.
pub(crate) type Options = Box<dyn Fn(&str) -> TopicOptions + Send + Sync>;

/// All topics of a node.
pub(crate) struct Hub {
    hasher: RandomState,
    parts: Box<[Mutex<Part>]>,
    options: Option<Options>,
    pub(crate) relayed: Option<Relayed>,
    /// Between the events that say so.
    is_relay_lost: AtomicBool,
    /// Made for the first subscriber.
    events: OnceLock<broadcast::Sender<TopicsEvent>>,
}

#[derive(Default)]
struct Part {
    topics: HashMap<Arc<str>, Weak<State>>,
    /// Of the topics that are gone.
    past: TopicsStats,
}

impl Part {
    /// Removes a topic. After a time with many topics, the map gets smaller with them: when a quarter of
    /// it is in use, half of it is freed, so each removal costs the same on average.
    fn remove(&mut self, name: &str) {
        self.topics.remove(name);
        let len = self.topics.len();
        if self.topics.capacity() > 4 * len.max(SPARE) {
            self.topics.shrink_to(2 * len);
        }
    }
}

/// The relay, and the runtime that its futures are polled on.
pub(crate) struct Relayed {
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) runtime: Runtime,
}

/// A topic. Its members, its handles and its tasks keep it.
pub(crate) struct State {
    pub(crate) hub: Arc<Hub>,
    pub(crate) name: Arc<str>,
    pub(crate) options: TopicOptions,
    /// Locked before the queue and before a connection.
    members: Mutex<BTreeMap<u64, Weak<Shared>>>,
    /// How many members there are.
    len: AtomicUsize,
    pub(crate) queue: Mutex<Queue>,
    /// A permit for each byte that fits in the queue.
    pub(crate) room: Semaphore,
    /// Locked before the members.
    pub(crate) interest: Mutex<Interest>,
    pub(crate) interest_changed: Notify,
    pub(crate) published: AtomicU64,
    pub(crate) relayed: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) skipped: AtomicU64,
}

/// Whether this node gets the messages that other nodes publish to a topic.
#[derive(Default)]
pub(crate) struct Interest {
    /// How many calls of `join` wait for it, or are about to add their member.
    pub(crate) joining: usize,
    pub(crate) stands: bool,
    /// Whether there is a task that changes it.
    pub(crate) is_running: bool,
    /// How often it could not be had, and why the last time.
    pub(crate) failures: u64,
    pub(crate) failure: Option<Failure>,
}

/// A [`RelayError`](crate::topics::RelayError), for all calls of `join` that it fails.
pub(crate) type Failure = Arc<dyn StdError + Send + Sync>;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(crate) fn new(options: Option<Options>, relay: Option<Arc<dyn Relay>>) -> Arc<Self> {
        let relayed = relay.map(|relay| Relayed { relay, runtime: Runtime::current() });
        Arc::new(Self {
            hasher: RandomState::default(),
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            options,
            relayed,
            is_relay_lost: AtomicBool::new(false),
            events: OnceLock::new(),
        })
    }

    fn part(&self, name: &str) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(name);
        lock(&self.parts[usize::try_from(hash % PARTS as u64).unwrap_or(0)])
    }

    /// The topic of this name, if it exists.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<State>> {
        self.part(name).topics.get(name)?.upgrade()
    }

    /// The topic of this name.
    pub(crate) fn topic(self: &Arc<Self>, name: &str) -> Result<Arc<State>> {
        if let Some(known) = self.find(name) {
            return Ok(known);
        }
        if name.len() > MAX_NAME {
            let len = name.len();
            let message = format!("the name of a topic has {len} bytes; the limit is {MAX_NAME}");
            return Err(Error::new(ErrorKind::InvalidTopic, message));
        }
        // Called without a lock, since it is the program's.
        let options = self.options.as_ref().map(|options| options(name)).unwrap_or_default();
        let new = Arc::new(State::new(self.clone(), name, options));
        let mut part = self.part(name);
        if let Some(known) = part.topics.get(name).and_then(Weak::upgrade) {
            drop(part);
            return Ok(known);
        }
        part.topics.insert(new.name.clone(), Arc::downgrade(&new));
        drop(part);
        Ok(new)
    }

    /// All topics that exist.
    pub(crate) fn all(&self) -> Vec<Arc<State>> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend(lock(part).topics.values().filter_map(Weak::upgrade));
        }
        all
    }

    /// How many topics exist.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| lock(part).topics.len()).sum()
    }

    pub(crate) fn stats(&self) -> TopicsStats {
        let mut stats = TopicsStats::default();
        for part in &self.parts {
            let topics: Vec<_> = {
                let part = lock(part);
                stats.add_all(&part.past);
                part.topics.values().filter_map(Weak::upgrade).collect()
            };
            for topic in topics {
                stats.add(&topic.stats());
            }
        }
        stats
    }

    pub(crate) fn event(&self, event: TopicsEvent) {
        match event {
            TopicsEvent::RelayLost { .. } => self.is_relay_lost.store(true, Ordering::Release),
            TopicsEvent::RelayBack => self.is_relay_lost.store(false, Ordering::Release),
            _ => {}
        }
        if let Some(events) = self.events.get() {
            let _ = events.send(event);
        }
    }

    pub(crate) fn is_relay_lost(&self) -> bool {
        self.is_relay_lost.load(Ordering::Acquire)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<TopicsEvent> {
        self.events.get_or_init(|| broadcast::Sender::new(EVENTS)).subscribe()
    }

    fn remove(&self, state: &State) {
        let mut part = self.part(&state.name);
        let is_own = |known: &Weak<State>| std::ptr::eq(known.as_ptr(), state);
        // Another topic of this name may have been made meanwhile.
        if part.topics.get(&state.name).is_some_and(is_own) {
            part.remove(&state.name);
        }
        part.past.add_past(&state.stats());
    }
}

impl State {
    fn new(hub: Arc<Hub>, name: &str, options: TopicOptions) -> Self {
        let room = cost(options.max_queued_bytes).min(Semaphore::MAX_PERMITS);
        Self {
            hub,
            name: name.into(),
            options,
            members: Mutex::default(),
            len: AtomicUsize::new(0),
            queue: Mutex::default(),
            room: Semaphore::new(room.min(u32::MAX as usize)),
            interest: Mutex::default(),
            interest_changed: Notify::new(),
            published: AtomicU64::new(0),
            relayed: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn key(self: &Arc<Self>) -> GroupKey {
        GroupKey::of(&self.group())
    }

    pub(crate) fn group(self: &Arc<Self>) -> Arc<dyn Group> {
        self.clone()
    }

    pub(crate) fn stats(&self) -> TopicStats {
        TopicStats {
            members: self.len(),
            published: self.published.load(Ordering::Relaxed),
            relayed: self.relayed.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }

    /// Makes a connection a member. Returns whether it was none before.
    pub(crate) fn enter(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<bool> {
        let entered = {
            let mut members = lock(&self.members);
            let since = lock(&self.queue).next();
            let entered = shared.enter(self.group(), since);
            if entered.is_ok() && members.insert(shared.info.id, Arc::downgrade(shared)).is_none() {
                self.len.fetch_add(1, Ordering::AcqRel);
            }
            entered
        };
        entered.map_err(|why| shared.refused(why))
    }

    /// Ends a membership. Returns whether there was one.
    pub(crate) fn exit(self: &Arc<Self>, shared: &Arc<Shared>) -> bool {
        let key = self.key();
        let (group, member) = {
            let mut members = lock(&self.members);
            (shared.exit(key), self.remove(&mut members, shared.info.id))
        };
        drop(group);
        member.is_some()
    }

    fn remove(&self, members: &mut BTreeMap<u64, Weak<Shared>>, id: u64) -> Option<Weak<Shared>> {
        let member = members.remove(&id)?;
        self.len.fetch_sub(1, Ordering::AcqRel);
        Some(member)
    }

    /// Removes a member whose connection has left all topics.
    pub(crate) fn forget(&self, id: u64) {
        let member = self.remove(&mut lock(&self.members), id);
        drop(member);
    }

    /// Adds the next members to `next`, at most so many. `after` is the number of the last one that
    /// was looked at, and becomes that. Returns whether there were any.
    pub(crate) fn next_members(
        &self,
        after: &mut Option<u64>,
        most: usize,
        next: &mut Vec<Arc<Shared>>,
    ) -> bool {
        let members = lock(&self.members);
        let from = after.map_or(0, |after| after + 1);
        let mut is_any = false;
        for (id, member) in members.range(from..).take(most) {
            (*after, is_any) = (Some(*id), true);
            next.extend(member.upgrade());
        }
        is_any
    }

    /// The connections of all members.
    pub(crate) fn all_members(&self) -> Vec<Arc<Shared>> {
        let mut all = Vec::with_capacity(self.len());
        all.extend(lock(&self.members).values().filter_map(Weak::upgrade));
        all
    }

    /// The runtime for a task of this topic: the current one, else one of a member or the relay.
    pub(crate) fn runtime(&self) -> Option<Runtime> {
        Runtime::try_current()
            .or_else(|| self.hub.relayed.as_ref().map(|relayed| relayed.runtime.clone()))
            .or_else(|| {
                let mut next = Vec::new();
                self.next_members(&mut None, 1, &mut next);
                next.first().map(|shared| shared.timekeeper.runtime().clone())
            })
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.hub.clone().remove(self);
    }
}

/// A message, to be published.
pub(crate) struct Publication {
    pub(crate) message: Message,
    pub(crate) compress: Compress,
    /// The number of the connection that does not get it.
    pub(crate) except: Option<u64>,
}
