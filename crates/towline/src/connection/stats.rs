//! What a program can see of a connection: counts and round trips.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::Stats;

use crate::connection::Connection;
use crate::connection::driver::Asking;
use crate::connection::receiver::Receiver;
use crate::connection::sender::Sender;
use crate::connection::shared::Shared;
use crate::connection::waiting::{Place, Until};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};

impl Connection {
    /// Returns what was sent and received so far, what is queued, and the last round trip.
    ///
    /// Counting is always on. A call takes the connection's lock for a moment.
    ///
    /// ```
    /// # fn example(connection: towline::Connection) {
    /// let stats = connection.stats();
    /// println!("{} messages received in {:?}", stats.received.messages, stats.age);
    /// if let Some(round_trip) = stats.round_trip {
    ///     println!("{:?} to the peer and back", round_trip.smoothed);
    /// }
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        self.receiver.stats()
    }

    /// Sends a ping and waits for its pong, see [`Sender::round_trip`]. Receive meanwhile: the pong
    /// is found only while something receives. The future does not borrow the connection.
    ///
    /// ```
    /// # async fn example(mut connection: towline::Connection) -> towline::Result<()> {
    /// let round_trip = connection.round_trip();
    /// let receiving = async {
    ///     while let Some(message) = connection.recv().await? {
    ///         println!("{message:?}");
    ///     }
    ///     towline::Result::Ok(())
    /// };
    /// tokio::select! {
    ///     time = round_trip => println!("there and back in {:?}", time?),
    ///     received = receiving => received?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Sender::round_trip`].
    ///
    /// # Cancel safety
    ///
    /// As [`Sender::round_trip`].
    pub fn round_trip(&self) -> impl Future<Output = Result<Duration>> + Send + use<> {
        self.sender.round_trip()
    }
}

impl Sender {
    /// Returns what was sent and received so far, what is queued, and the last round trip.
    ///
    /// What was received is counted up to the last read of the receiving half. Messages that it has
    /// handed out since are in [`Receiver::stats`] only.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Sends a ping and waits for its pong (RFC 6455, section 5.5.3). Returns the time between.
    ///
    /// The future sends the ping when it is first polled, with a payload of its own. It does not
    /// borrow the sender, and does not keep the connection open. Any number can run at once.
    ///
    /// The pong is found when the receiving half reads it: receive meanwhile, or drop the
    /// [`Receiver`]. The time includes that during which the program does not receive. A pong also
    /// answers all pings before its own, since the peer may answer only the latest of several pings.
    ///
    /// There is no timeout but the keepalive, which any byte of the peer puts off. A peer that
    /// sends messages and no pongs breaks the protocol; use [`tokio::time::timeout`] to find out.
    ///
    /// [`stats`](Self::stats) has the last and the smoothed round trip, of these pings and of
    /// keepalive pings.
    ///
    /// ```
    /// # async fn example(sender: towline::Sender) -> towline::Result<()> {
    /// let time = sender.round_trip().await?;
    /// println!("there and back in {time:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection is closing or closed, or begins to close before the
    /// pong is received. The message says whether the ping was sent, and how the connection ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the ping is possibly sent, and its pong is ignored.
    pub fn round_trip(&self) -> impl Future<Output = Result<Duration>> + Send + use<> {
        let shared = self.shared.clone();
        async move {
            let mut trip = RoundTrip { shared, place: Place::default(), asking: Asking::default() };
            let taken = poll_fn(|cx| trip.poll(cx)).await;
            taken.map_err(|Untaken { is_sent }| {
                let core = trip.shared.lock();
                let error = match is_sent {
                    true => Error::unanswered(&core.session),
                    false => Error::unmeasured(&core.session),
                };
                error.with_failure(core.failure())
            })
        }
    }
}

impl Shared {
    /// The counts, up to the last read of the receiver.
    pub(crate) fn stats(&self) -> Stats {
        let now = Instant::now().into_std();
        self.lock().session.stats(now)
    }
}

/// A ping whose pong is awaited. Dropping it forgets the ping.
struct RoundTrip {
    shared: Arc<Shared>,
    place: Place,
    asking: Asking,
}

/// The connection began to close before the pong was received.
struct Untaken {
    /// Whether the ping was sent.
    is_sent: bool,
}

impl RoundTrip {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<Duration, Untaken>> {
        let Self { shared, place, asking } = self;
        let unsent = Untaken { is_sent: false };
        if asking.number.is_none() && ready!(shared.poll_send(cx, place, asking)).is_err() {
            return Poll::Ready(Err(unsent));
        }
        let Some(number) = asking.number else { return Poll::Ready(Err(unsent)) };
        shared.update(|core| {
            if let Some(time) = core.session.take_round_trip(number) {
                asking.number = None;
                core.leave(place);
                return Poll::Ready(Ok(time));
            }
            if !core.session.is_open() {
                core.leave(place);
                return Poll::Ready(Err(Untaken { is_sent: true }));
            }
            core.waiting.wait(Until::Answered(number), place, cx.waker());
            Poll::Pending
        })
    }
}

impl Drop for RoundTrip {
    fn drop(&mut self) {
        let Self { shared, place, asking } = self;
        shared.leave(place);
        if let Some(number) = asking.number {
            shared.lock().session.forget_round_trip(number);
        }
    }
}

impl Receiver {
    /// Returns what was sent and received so far, what is queued, and the last round trip.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared().stats();
        if let Some(counts) = self.counts() {
            stats.received.add(&counts.into());
        }
        stats
    }
}
