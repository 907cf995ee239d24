//! What is due at deadlines; and a look at what lies unread while the program is busy.
//!
//! Pings are answered by whoever receives, so a program that is long in coming back would be taken
//! for dead by its peers. The timekeeper looks at every connection now and then. Where bytes lie
//! unread while the program is busy with what it has, or from one look to the next where it seems to
//! wait, it answers the latest ping among them without taking them: that needs no task, and nothing
//! of those who receive. A ping is seen if it lies within the first
//! [`SEEN`](crate::transport::SEEN) bytes, and begins no message that was received in part.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::latest_ping;

use crate::connection::shared::{Core, Shared, Unread};
use crate::connection::timekeeper::Timed;
use crate::connection::writer::Receiving;
use crate::transport::WriteHalf;

/// How long after one look the next one is: where nothing is going on, and where the program has
/// something to do. Peers commonly wait 10 s for an answer, or 20: what comes right after one look is
/// seen by the next, and answered at the latest by the one after that.
const REST: Duration = Duration::from_secs(6);
const BUSY: Duration = Duration::from_secs(3);

/// To look without a pause would be all that the timekeeper does.
const SHORTEST: Duration = Duration::from_millis(1);

impl Timed for Shared {
    fn handle_deadline(self: Arc<Self>, now: Instant) {
        let mut wake = None;
        self.update(|core| {
            core.deadline = None;
            let has_heard = core.hear(&self.heard, now, REST);
            let is_busy = self.look_out(core, now, &mut wake) || has_heard;
            core.session.handle_timeout(now.into_std());
            core.writer.write_now(&mut core.session);
            self.reschedule(core);
            if core.session.is_open() {
                let rest = if is_busy { BUSY } else { REST };
                self.call_at(core, now + rest.min(interval(core)));
            }
        });
        if let Some(waker) = wake {
            waker.wake();
        }
    }
}

/// How long a peer may be silent before it is asked. That a peer has answered is found by looking, and
/// no later than it is to be asked anew.
fn interval(core: &Core) -> Duration {
    let keepalive = core.session.keepalive();
    keepalive.map_or(REST, |keepalive| keepalive.interval.max(SHORTEST))
}

impl Shared {
    /// Has the timekeeper look for the first time.
    pub(crate) fn begin_to_look_out(self: &Arc<Self>, now: Instant) {
        self.call_at(&mut self.lock(), now + REST);
    }

    /// Looks for signs of life that nobody has received, and for pings among them. Returns whether
    /// the program has something to do that it may be long in coming back from.
    fn look_out(&self, core: &mut Core, now: Instant, wake: &mut Option<Waker>) -> bool {
        let is_overdue = core.session.is_peer_overdue(now.into_std());
        // A peer that takes what is sent is alive too, though it may be too busy to answer.
        let is_taking = core.writer.took_more();
        let position = self.heard.position();
        // A stream that is no socket is looked ahead in by this, whatever else lies unread.
        let lies_behind = core.writer.half().is_some_and(|half| half.has_unread(wake));
        let has_unread = position.has_more() || lies_behind;
        // A record of TLS, say, of which a part has come.
        let has_come = core.writer.half().is_some_and(WriteHalf::has_come);
        if is_taking || has_come {
            core.session.handle_received(now.into_std());
        } else if is_overdue && has_unread {
            core.session.handle_unread(now.into_std());
        }
        let behind = self.heard.reads();
        let lay_before = core.receiver.unread.as_ref().is_some_and(|it| it.behind == behind);
        if !has_unread {
            core.receiver.unread = None;
        } else if !lay_before {
            core.receiver.unread = Some(Box::new(Unread { behind, answered: None, failure: None }));
        }
        // Whoever waits is most likely about to receive what has just come.
        let is_left_alone = match position {
            Receiving::HandedOut | Receiving::HasWhole => true,
            Receiving::Waits => lay_before && !core.receiver.is_mid_frame,
            Receiving::HasMore => false,
        };
        if has_unread && is_left_alone {
            core.answer_unread_ping();
        }
        has_unread || position != Receiving::Waits
    }
}

impl Core {
    /// Answers the latest ping that lies unread, unless that was done before.
    fn answer_unread_ping(&mut self) {
        let Self { session, writer, receiver, .. } = self;
        let ping = writer.half().and_then(|half| half.look_ahead(latest_ping));
        if let (Some((at, payload)), Some(unread)) = (ping, &mut receiver.unread)
            && unread.answered.replace(at) != Some(at)
        {
            session.handle_unread_ping(payload);
        }
    }
}
