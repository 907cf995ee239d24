//! Handles deadlines, and checks for unread bytes while the program is busy.
//!
//! Receiving answers pings, so a program that does not receive for long would look dead to its
//! peers. The timekeeper checks every connection periodically. If there are unread bytes while the
//! program is busy, or from one check to the next while it seems to wait, the timekeeper answers
//! the latest ping among them without consuming them: that needs no task and no change to
//! receiving. It finds a ping within the first [`SEEN`](crate::transport::SEEN) bytes, unless a
//! partly received frame is before it.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::latest_ping;

use crate::connection::shared::{Core, Shared, Unread};
use crate::connection::timekeeper::Timed;
use crate::connection::writer::Receiving;
use crate::transport::WriteHalf;

/// The time between two checks: of an idle connection, and while the program is busy. Peers
/// commonly wait 10 s or 20 s for a pong: a ping that arrives right after a check is found by the
/// next one, and answered by the one after that at the latest.
const REST: Duration = Duration::from_secs(6);
const BUSY: Duration = Duration::from_secs(3);

/// The least time between two checks, so that the timekeeper does not spin.
const SHORTEST: Duration = Duration::from_millis(1);

impl Timed for Shared {
    fn handle_deadline(self: Arc<Self>, now: Instant) {
        let (mut wake, mut paused) = (None, None);
        self.update(|core| {
            core.deadline = None;
            // It can have ended since the call was taken from the schedule.
            if core.session.closed().is_some() {
                return;
            }
            if std::mem::take(&mut core.receiver.is_paused) {
                paused = core.receiver.waker.take();
            }
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
        for waker in wake.into_iter().chain(paused) {
            waker.wake();
        }
    }
}

/// The keepalive interval. Answers of the peer are found by a check, which has to happen before the
/// next keepalive ping.
fn interval(core: &Core) -> Duration {
    let keepalive = core.session.keepalive();
    keepalive.map_or(REST, |keepalive| keepalive.interval.max(SHORTEST))
}

impl Shared {
    /// Schedules the first check.
    pub(crate) fn begin_to_look_out(self: &Arc<Self>, now: Instant) {
        self.call_at(&mut self.lock(), now + REST);
    }

    /// Checks for unread bytes, which show that the peer is alive, and for pings among them.
    /// Returns whether the program is possibly busy.
    fn look_out(&self, core: &mut Core, now: Instant, wake: &mut Option<Waker>) -> bool {
        let is_overdue = core.session.is_peer_overdue(now.into_std());
        // A peer that takes bytes is alive too, even if it is too busy to answer.
        let is_taking = core.writer.took_more();
        let position = self.heard.position();
        // Always called, since it reads ahead in a stream that is not a socket.
        let lies_behind = core.writer.half().is_some_and(|half| half.has_unread(wake));
        let has_unread = position.has_more() || lies_behind;
        // For example, a part of a TLS record.
        let has_come = core.writer.half().is_some_and(WriteHalf::has_come);
        if has_come {
            core.session.handle_received(now.into_std());
        } else if is_taking {
            core.session.handle_taken(now.into_std());
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
        // A receiver that waits is most likely going to read these bytes soon.
        let is_left_alone = match position {
            Receiving::HandedOut | Receiving::HasWhole => true,
            Receiving::Waits => lay_before && !core.receiver.is_mid_frame,
            Receiving::HasMore | Receiving::MidFrame => false,
        };
        if has_unread && is_left_alone {
            core.answer_unread_ping();
        }
        has_unread || position != Receiving::Waits
    }
}

impl Core {
    /// Answers the latest unread ping, unless it was answered before.
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

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::Bytes;
    use towline_proto::{Config, Role};

    use super::*;
    use crate::connection::Connection;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_after_the_end_keeps_the_error_of_reading() {
        let (near, _far) = tokio::io::duplex(1);
        let connection =
            Connection::from_stream(near, Role::Server, &Config::server(), Bytes::new());
        let shared = connection.shared();
        shared.update(|core| {
            core.session.handle_transport_error(io::ErrorKind::Other);
            core.receiver.set_failure(io::Error::other("the reason"));
        });
        shared.clone().handle_deadline(Instant::now());
        assert!(shared.lock().failure().is_some());
    }
}
