//! Messages of topics, and messages for many that wait for room.

use std::num::NonZeroUsize;
use std::sync::Arc;

use towline_proto::{Message, Outgoing, Refused};

use crate::connection::groups::{Group, GroupKey, Offer, Offered};
use crate::connection::shared::{Core, Shared};
use crate::connection::waiting::Until;
use crate::connection::when_full::WhenFull;
use crate::connection::work::Work;

impl Shared {
    /// Makes this connection a member of a group, from the message with this number on. Returns
    /// whether it was not one before. Call it with the group locked.
    pub(crate) fn enter(&self, group: Arc<dyn Group>, since: u64) -> Result<bool, Refused> {
        let mut core = self.lock();
        if !core.session.is_open() {
            return Err(Refused::Closing);
        }
        Ok(core.groups.get_or_insert_default().insert(self.info.id, group, since))
    }

    /// Ends a membership. Call it with the group locked, and drop the result without.
    #[must_use]
    pub(crate) fn exit(&self, key: GroupKey) -> Option<Arc<dyn Group>> {
        let mut core = self.lock();
        let group = core.groups.as_mut()?.remove(key);
        core.drop_idle_groups();
        group
    }

    /// Whether this connection is a member of a group.
    pub(crate) fn is_in(&self, key: GroupKey) -> bool {
        self.lock().groups.as_ref().is_some_and(|groups| groups.contains(key))
    }

    /// How many messages of a group were skipped at this connection.
    pub(crate) fn skipped(&self, key: GroupKey) -> u64 {
        self.lock().groups.as_ref().map_or(0, |groups| groups.skipped(key))
    }

    /// Queues messages of a group, if this connection is a member and has room, and writes them
    /// together. Adds the work to `work`.
    pub(crate) fn offer(self: &Arc<Self>, offer: &mut Offer<'_>, work: &mut Work) -> Offered {
        self.update(|core| {
            let is_first = core.session.outbound().is_empty();
            let before = std::mem::take(&mut core.writer.work);
            let receiver = self.heard.position();
            let Core { session, writer, groups, waiting, .. } = core;
            // A sender that waits goes first, as before kept messages. That is no reason to close.
            offer.is_taken = offer.when_full != WhenFull::Close && waiting.has_first(Until::Room);
            let offered = match groups {
                Some(groups) if session.is_open() => groups.offer(session, writer, receiver, offer),
                _ => Offered::default(),
            };
            if offered.is_queued {
                writer.queued(session, is_first, receiver, offer.moment);
            }
            if offered.is_too_slow {
                core.end_as_too_slow();
            }
            work.add(std::mem::replace(&mut core.writer.work, before));
            work.add_call();
            offered
        })
    }

    /// Sets the message that tells this member of a group of skipped messages.
    pub(crate) fn set_notice(
        self: &Arc<Self>,
        key: GroupKey,
        untold: u64,
        notice: Option<Message>,
    ) {
        self.update(|core| {
            if let Some(groups) = &mut core.groups {
                groups.set_notice(key, untold, notice);
            }
        });
    }
}

/// Messages for many that wait for room.
impl Core {
    /// Keeps a broadcast that found the queue full, and drops older ones if there are more than `most`.
    pub(crate) fn keep_newest(&mut self, newest: Outgoing<'static>, most: NonZeroUsize) {
        let kept = &mut self.groups.get_or_insert_default().newest;
        kept.push(newest);
        kept.truncate(most.get());
    }

    /// Whether broadcasts are kept that found the queue full.
    pub(crate) fn keeps_newest(&self) -> bool {
        self.groups.as_ref().is_some_and(|groups| !groups.newest.is_empty())
    }

    /// Sends the broadcasts that found the queue full, while there is room.
    pub(crate) fn send_newest(&mut self) {
        if !self.keeps_newest() {
            return;
        }
        let Self { session, writer, groups, .. } = self;
        if groups.as_mut().is_some_and(|groups| groups.send_newest(session, writer)) {
            writer.see_to(session);
        }
        self.drop_idle_groups();
    }

    /// Drops the broadcasts that found the queue full, but for the newest ones, so many.
    pub(crate) fn drop_older_than_newest(&mut self, most: usize) {
        if let Some(groups) = &mut self.groups {
            groups.newest.truncate(most);
        }
        self.drop_idle_groups();
    }

    /// Frees the list of topics, if it is empty.
    pub(crate) fn drop_idle_groups(&mut self) {
        if self.groups.as_ref().is_some_and(|groups| groups.is_idle()) {
            self.groups = None;
        }
    }

    /// Sends messages of topics that found the queue full, while there is room and no sender waits for
    /// it: a topic with many messages would leave it none.
    pub(crate) fn send_kept(&mut self) {
        let Self { session, writer, groups, waiting, .. } = self;
        if let Some(groups) = groups.as_mut().filter(|groups| groups.keeps())
            && !waiting.has_first(Until::Room)
            && groups.send_kept(session, writer)
        {
            writer.see_to(session);
        }
    }

    #[cold]
    pub(crate) fn see_to_kept(&mut self) {
        if !self.is_full(Until::Room) {
            self.writer.schedule();
        }
    }
}
