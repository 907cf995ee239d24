//! The only place that reads, writes or sleeps for a connection.
//!
//! There is no task that owns the socket. Whoever polls does the work:
//!
//! - **Receiving** reads, decodes, and answers pings. Before it waits for more, it writes all
//!   that was queued in the meantime: the replies to messages that came together leave together.
//! - **Sending** encodes into the queue. It writes at once if this is the first thing sent in its
//!   turn and nothing more has come that might be answered; else it leaves that to the receiver's
//!   next wait, or to the flusher, whichever comes first.
//! - **The flusher** is a task that exists while something is queued that nobody has written. It
//!   runs when the task that queued it yields, and goes on where the transport is full.
//! - **The drain** is a task that reads for a connection whose receiver is gone, until its end.
//! - **The timekeeper** calls at deadlines; one for many connections.

mod writing;

mod sending;

mod ending;

mod reading;

pub(crate) use reading::{Reader, Wanted};
