//! The groups that a connection is a member of, and the messages of groups that wait for room.
//!
//! A group is a topic. It knows its members by number, and a member knows its groups, in this list.
//! Both change under the group's lock and then the connection's, so they agree. The list is dropped
//! when the connection begins to close, with no lock held: then the connection leaves all groups.

mod newest;

mod prepared;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use towline_proto::{Message, Outgoing, Session};

use crate::connection::timekeeper::Moment;
use crate::connection::when_full::WhenFull;
use crate::connection::writer::{Receiving, Writer};
use newest::Newest;
use prepared::{Kept, send};

pub(crate) use prepared::{Prepared, Run};

/// A group of connections.
pub(crate) trait Group: Send + Sync {
    /// The connection with this number is closing. Called without a lock.
    fn left(self: Arc<Self>, id: u64);

    /// Kept messages were queued. Called with the connection's lock held.
    fn delivered_later(&self, messages: u64);
}

/// Identifies a group: its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey(usize);

impl GroupKey {
    pub(crate) fn of(group: &Arc<dyn Group>) -> Self {
        Self(Arc::as_ptr(group).cast::<()>().addr())
    }
}

/// The groups of one connection, and the broadcasts that are kept for it.
#[derive(Default)]
pub(crate) struct Groups {
    /// Broadcasts to all connections that found the queue full, to be sent when there is room. They are
    /// here to keep connections without any of this small.
    pub(crate) newest: Newest,
    /// The connection's number, once it is in a group.
    id: u64,
    /// Sorted by key.
    entries: Vec<Entry>,
    kept: Total,
}

/// The messages of groups that are kept.
#[derive(Default)]
struct Total {
    messages: usize,
    bytes: usize,
}

struct Entry {
    group: Arc<dyn Group>,
    /// The number of the first message that this member gets.
    since: u64,
    /// Made when the member is first found slow.
    slow: Option<Box<Slow>>,
}

/// What a slow member has missed, and the newest messages.
#[derive(Default)]
struct Slow {
    skipped: u64,
    /// The number of skipped messages that the member was not told of.
    untold: u64,
    /// Tells the member. Sent before the next message.
    notice: Option<Message>,
    /// Whether `notice` is being made, so that nothing is sent before it.
    awaits_notice: bool,
    kept: VecDeque<Kept>,
    /// Whether kept messages were sent since all other groups had their turn.
    has_had_turn: bool,
}

/// Messages of a group, offered to one member after the other.
pub(crate) struct Offer<'b> {
    pub(crate) key: GroupKey,
    /// The number of the first message.
    pub(crate) first: u64,
    pub(crate) batch: &'b mut [Prepared],
    /// All of the messages.
    pub(crate) runs: &'b [Run],
    pub(crate) moment: &'b mut Moment,
    pub(crate) when_full: WhenFull,
    /// Whether members are told what they have missed.
    pub(crate) tells: bool,
    /// Whether a sender of the member waits for room, so that there is none for these messages. Set for
    /// each member.
    pub(crate) is_taken: bool,
}

/// The result of an offer to one member.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Offered {
    /// The number of messages that were queued, not counting those kept before.
    pub(crate) delivered: u64,
    pub(crate) skipped: u64,
    /// The number of skipped messages to tell the member of, if any were skipped now.
    pub(crate) untold: u64,
    /// Whether the connection is to be closed, because it is slow.
    pub(crate) is_too_slow: bool,
    /// Whether something was queued that has to be written.
    pub(super) is_queued: bool,
}

/// Whether there is still no room after an attempt to write.
fn is_full(session: &mut Session, writer: &mut Writer) -> bool {
    if session.is_open() && session.is_full() {
        writer.write_now(session);
    }
    session.is_open() && session.is_full()
}

impl Entry {
    /// Whether the member gets the message with this number and has missed nothing that comes before it.
    #[inline]
    fn is_next(&self, number: u64) -> bool {
        let is_even =
            |slow: &Slow| slow.kept.is_empty() && slow.untold == 0 && slow.notice.is_none();
        number >= self.since && self.slow.as_deref().is_none_or(is_even)
    }
}

impl Total {
    fn add(&mut self, kept: &Kept) {
        self.messages += 1;
        self.bytes += kept.len;
    }

    fn remove(&mut self, kept: &Kept) {
        self.messages -= 1;
        self.bytes -= kept.len;
    }
}

impl Slow {
    fn skip(&mut self, messages: u64) {
        self.skipped += messages;
        self.untold += messages;
    }

    /// Sends the notice, if there is one, before a message is sent.
    fn tell(&mut self, session: &mut Session, writer: &mut Writer) {
        self.untold = 0;
        if let Some(notice) = self.notice.take() {
            send(Outgoing::from(&notice), session, writer);
        }
    }

    /// Sends kept messages while there is room. Returns how many.
    fn send_kept(
        &mut self,
        session: &mut Session,
        writer: &mut Writer,
        total: &mut Total,
    ) -> usize {
        let mut sent = 0;
        while !self.awaits_notice && !self.kept.is_empty() && !session.is_full() {
            self.tell(session, writer);
            let Some(kept) = self.kept.pop_front() else { break };
            total.remove(&kept);
            if !kept.send(session, writer) {
                break;
            }
            sent += 1;
        }
        sent
    }
}

impl Groups {
    fn position(&self, key: GroupKey) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |entry| GroupKey::of(&entry.group))
    }

    /// Adds a group of the connection with this number. Returns whether it is new.
    pub(crate) fn insert(&mut self, id: u64, group: Arc<dyn Group>, since: u64) -> bool {
        self.id = id;
        match self.position(GroupKey::of(&group)) {
            Ok(_) => false,
            Err(at) => {
                if self.entries.len() == self.entries.capacity() {
                    // Few groups take no memory in vain; many are not copied at each insertion.
                    let len = self.entries.len();
                    self.entries.reserve_exact(if len < 16 { 1 } else { len / 4 });
                }
                self.entries.insert(at, Entry { group, since, slow: None });
                true
            }
        }
    }

    /// Removes a group. Drop the result without a lock.
    #[must_use]
    pub(crate) fn remove(&mut self, key: GroupKey) -> Option<Arc<dyn Group>> {
        let entry = self.entries.remove(self.position(key).ok()?);
        for kept in entry.slow.iter().flat_map(|slow| &slow.kept) {
            self.kept.remove(kept);
        }
        Some(entry.group)
    }

    /// Whether there is nothing here.
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.newest.is_empty()
    }

    /// Whether no message waits for room.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.kept.messages == 0 && self.newest.is_empty()
    }

    /// Whether messages of groups are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.kept.messages > 0
    }

    /// How many bytes are kept until there is room. Connections share the memory of a message, and it
    /// counts for each.
    pub(crate) fn held(&self) -> usize {
        self.newest.bytes().saturating_add(self.kept.bytes)
    }

    /// How many messages of the group the member has missed.
    pub(crate) fn skipped(&self, key: GroupKey) -> u64 {
        let entry = self.position(key).ok().map(|at| &self.entries[at]);
        entry.and_then(|entry| entry.slow.as_ref()).map_or(0, |slow| slow.skipped)
    }

    pub(crate) fn contains(&self, key: GroupKey) -> bool {
        self.position(key).is_ok()
    }

    /// Sends kept broadcasts while there is room. Returns whether any were sent.
    pub(crate) fn send_newest(&mut self, session: &mut Session, writer: &mut Writer) -> bool {
        let mut is_any = false;
        while session.is_open()
            && !session.is_full()
            && let Some(oldest) = self.newest.pop()
        {
            is_any |= send(oldest, session, writer);
        }
        is_any
    }

    /// Sends kept messages while there is room, of one group after the other. Returns whether any were
    /// sent.
    pub(crate) fn send_kept(&mut self, session: &mut Session, writer: &mut Writer) -> bool {
        let is_any = self.send_kept_in_turn(session, writer);
        if !self.keeps() || !session.is_open() || session.is_full() {
            return is_any;
        }
        for slow in self.entries.iter_mut().filter_map(|entry| entry.slow.as_mut()) {
            slow.has_had_turn = false;
        }
        self.send_kept_in_turn(session, writer) || is_any
    }

    /// Sends kept messages of the groups that have not had their turn: one to which much is published
    /// would leave the others no room.
    fn send_kept_in_turn(&mut self, session: &mut Session, writer: &mut Writer) -> bool {
        let Self { entries, kept, .. } = self;
        let mut is_any = false;
        for entry in entries {
            if kept.messages == 0 || !session.is_open() || session.is_full() {
                break;
            }
            let Some(slow) = entry.slow.as_mut().filter(|slow| !slow.has_had_turn) else {
                continue;
            };
            let sent = slow.send_kept(session, writer, kept);
            if sent > 0 {
                slow.has_had_turn = true;
                is_any = true;
                entry.group.delivered_later(sent as u64);
            }
        }
        is_any
    }

    /// Queues messages of a group that this member has room for.
    pub(super) fn offer(
        &mut self,
        session: &mut Session,
        writer: &mut Writer,
        receiver: Receiving,
        offer: &mut Offer<'_>,
    ) -> Offered {
        let mut offered = Offered::default();
        let Ok(at) = self.position(offer.key) else { return offered };
        // The task that would have set it was dropped.
        if let Some(slow) = &mut self.entries[at].slow {
            slow.awaits_notice = false;
        }
        if self.keeps() && !offer.is_taken && !is_full(session, writer) {
            offered.is_queued = self.send_kept(session, writer);
        }
        let mut from = 0;
        for run in offer.runs {
            let part = from..from + run.len;
            from = part.end;
            let is_next = self.entries[at].is_next(offer.first + part.start as u64);
            let burst = run.burst_for(self.id).filter(|_| is_next && !offer.is_taken);
            let is_only = run.len == offer.batch.len();
            if let Some(burst) = burst.filter(|_| is_only)
                && writer.pass(session, burst, receiver, offer.moment)
            {
                offered.delivered += burst.messages();
            } else if let Some(burst) = burst
                && writer.send_burst(session, burst)
            {
                offered.is_queued = true;
                offered.delivered += burst.messages();
            } else {
                self.offer_each(at, session, writer, offer, part, &mut offered);
            }
            if offered.is_too_slow || !session.is_open() {
                break;
            }
        }
        if let Some(slow) = self.entries[at].slow.as_mut().filter(|_| offered.skipped > 0) {
            offered.untold = slow.untold;
            slow.awaits_notice = offer.tells && slow.untold > 0;
        }
        offered
    }

    /// Queues a part of the messages one by one.
    fn offer_each(
        &mut self,
        at: usize,
        session: &mut Session,
        writer: &mut Writer,
        offer: &mut Offer<'_>,
        part: Range<usize>,
        offered: &mut Offered,
    ) {
        let Self { id, entries, kept, .. } = self;
        let entry = &mut entries[at];
        let first = offer.first + part.start as u64;
        for (number, prepared) in (first..).zip(offer.batch[part].iter_mut()) {
            if number < entry.since || !prepared.is_for(*id) {
                continue;
            }
            let is_behind = entry.slow.as_ref().is_some_and(|slow| !slow.kept.is_empty());
            if !is_behind && !offer.is_taken && !is_full(session, writer) {
                if let Some(slow) = &mut entry.slow {
                    slow.tell(session, writer);
                }
                if !prepared.send(session, writer) {
                    break;
                }
                offered.is_queued = true;
                offered.delivered += 1;
                continue;
            }
            let slow = entry.slow.get_or_insert_default();
            match offer.when_full {
                WhenFull::Skip => {
                    slow.skip(1);
                    offered.skipped += 1;
                }
                WhenFull::KeepNewest(most) => {
                    if slow.kept.len() >= most.get() {
                        if let Some(oldest) = slow.kept.pop_front() {
                            kept.remove(&oldest);
                        }
                        slow.skip(1);
                        offered.skipped += 1;
                    }
                    let newest = prepared.keep();
                    kept.add(&newest);
                    slow.kept.push_back(newest);
                }
                WhenFull::Close => {
                    offered.skipped += 1;
                    offered.is_too_slow = true;
                    break;
                }
            }
        }
    }

    /// Sets the message that tells a member of this number of skipped messages.
    pub(super) fn set_notice(&mut self, key: GroupKey, untold: u64, notice: Option<Message>) {
        let Ok(at) = self.position(key) else { return };
        if let Some(slow) = &mut self.entries[at].slow {
            slow.awaits_notice = false;
            if slow.untold == untold {
                slow.notice = notice;
            }
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for entry in self.entries.drain(..) {
            entry.group.left(self.id);
        }
    }
}
