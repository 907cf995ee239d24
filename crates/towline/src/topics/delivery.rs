//! Delivery: a task per topic, while there is something to deliver.
//!
//! Publishing adds to the topic's queue. The task takes all that is queued and hands it to one
//! member after the other, so that a burst is one write per member. It waits for no member.

use std::future::poll_fn;
use std::sync::Arc;

use crate::connection::sync::{Ordering, yield_now};
use crate::connection::{GroupKey, Moment, Offer, Prepared, Run, Shared, Work, alone};
use crate::topics::queue::{Batch, cost};
use crate::topics::state::{Publication, State, lock};

/// How many members are looked up at a time.
const AT_ONCE: usize = 32;

/// How often the task yields to a publisher on another thread that is still publishing.
const HOLD_BACK: usize = 8;

impl State {
    /// Waits until a message of this length has room in the queue.
    pub(crate) async fn admit(&self, len: usize) {
        let permits = u32::try_from(self.cost(len)).unwrap_or(u32::MAX);
        // It is never closed.
        if let Ok(permit) = self.room.acquire_many(permits).await {
            permit.forget();
        }
    }

    /// Takes room for a message of this length, if there is some.
    pub(crate) fn try_admit(&self, len: usize) -> bool {
        let permits = u32::try_from(self.cost(len)).unwrap_or(u32::MAX);
        self.room.try_acquire_many(permits).map(|permit| permit.forget()).is_ok()
    }

    /// A message that is too long for the queue is admitted when that is empty.
    fn cost(&self, len: usize) -> usize {
        cost(len).min(cost(self.options.max_queued_bytes)).min(u32::MAX as usize)
    }

    /// Queues a message that was admitted, and sees to its delivery.
    pub(crate) fn push(self: &Arc<Self>, publication: Publication) {
        let Publication { message, compress, except } = publication;
        let cost = self.cost(message.len());
        if self.len() == 0 {
            return self.room.add_permits(cost);
        }
        let prepared = Prepared::new(message, compress, except);
        let is_to_be_spawned = lock(&self.queue).push(prepared, cost);
        if is_to_be_spawned {
            match self.runtime() {
                Some(runtime) => {
                    let delivering = Delivering { state: self.clone(), is_done: false };
                    runtime.spawn(delivering.run());
                }
                None => self.stop(),
            }
        }
    }

    fn stop(&self) {
        let cost = lock(&self.queue).stop();
        self.room.add_permits(cost);
    }

    /// Takes all that is queued. A publisher on another thread has possibly not yielded yet: this
    /// waits for it while it keeps publishing.
    async fn take(&self) -> Option<Batch> {
        let mut queued = None;
        for _ in 0..HOLD_BACK {
            {
                let queue = lock(&self.queue);
                if !queue.is_of_other_thread() || queued.replace(queue.next()) == Some(queue.next())
                {
                    break;
                }
            }
            yield_now().await;
        }
        let batch = lock(&self.queue).take()?;
        self.room.add_permits(batch.cost);
        Some(batch)
    }
}

/// The task. If it is dropped, because its runtime ends, the next message is delivered by another.
struct Delivering {
    state: Arc<State>,
    is_done: bool,
}

impl Drop for Delivering {
    fn drop(&mut self) {
        if !self.is_done {
            self.state.stop();
        }
    }
}

impl Delivering {
    async fn run(mut self) {
        let state = &self.state;
        let key = state.key();
        let (mut work, mut next) = (Work::default(), Vec::with_capacity(AT_ONCE.min(state.len())));
        while let Some(mut batch) = state.take().await {
            let mut after = None;
            let runs = Run::all(&batch.messages);
            while state.next_members(&mut after, AT_ONCE, &mut next) {
                let mut moment = Moment::default();
                for shared in next.drain(..) {
                    let mut offer = state.offer(key, &mut batch, &runs, &mut moment);
                    state.hand(&shared, &mut offer, &mut work);
                    drop(shared);
                    poll_fn(|cx| {
                        let paid = work.poll_pay(cx);
                        if paid.is_pending() {
                            moment = Moment::default();
                        }
                        paid
                    })
                    .await;
                }
            }
        }
        self.is_done = true;
    }
}

impl State {
    fn offer<'b>(
        &self,
        key: GroupKey,
        batch: &'b mut Batch,
        runs: &'b [Run],
        moment: &'b mut Moment,
    ) -> Offer<'b> {
        Offer {
            key,
            first: batch.first,
            batch: &mut batch.messages,
            runs,
            moment,
            when_full: self.options.when_full,
            tells: self.options.notice.is_some(),
            is_taken: false,
        }
    }

    /// Hands messages to one member.
    fn hand(&self, shared: &Arc<Shared>, offer: &mut Offer<'_>, work: &mut Work) {
        let (notice, key) = (self.options.notice.as_ref(), offer.key);
        let Some(offered) = alone(|| shared.offer(offer, work)) else { return };
        self.delivered.fetch_add(offered.delivered, Ordering::Relaxed);
        if offered.skipped > 0 {
            self.skipped.fetch_add(offered.skipped, Ordering::Relaxed);
            if let Some(notice) = notice.filter(|_| offered.untold > 0) {
                let notice = alone(|| notice(offered.untold));
                alone(|| shared.set_notice(key, offered.untold, notice));
            }
        }
    }
}
