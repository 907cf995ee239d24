//! Moves bytes and handles deadlines.
//!
//! No task owns the socket. The tasks that send and receive do the work:
//!
//! - **Receiving** reads, decodes, and answers pings. Before it waits for more bytes, it writes the
//!   queue: replies to messages that arrived together are written together.
//! - **Sending** encodes into the queue. The [`Writer`](crate::connection::writer) decides which
//!   task writes it, and when.
//! - **The drain** is a task that reads from a connection whose receiver was dropped, until the
//!   end.
//! - **The timekeeper** handles the deadlines of many connections. While the program is busy, it
//!   checks for unread bytes.

mod sending;

mod offering;

mod ending;

mod lookout;

mod reading;

pub(crate) use reading::{Arrived, Held, Reader, Wanted};
pub(crate) use sending::{Asking, ByHand, Control, Delivered, Item};
