//! What moves bytes, and what is due at deadlines.
//!
//! There is no task that owns the socket. Whoever polls does the work:
//!
//! - **Receiving** reads, decodes, and answers pings. Before it waits for more, it writes all
//!   that was queued in the meantime: the replies to messages that came together leave together.
//! - **Sending** encodes into the queue. Who writes it, and when, is for the
//!   [`Writer`](crate::connection::writer) to say.
//! - **The drain** is a task that reads for a connection whose receiver is gone, until its end.
//! - **The timekeeper** calls at deadlines; one for many connections. Where the program is busy with
//!   something else, it looks at what lies unread.

mod sending;

mod ending;

mod lookout;

mod reading;

pub(crate) use reading::{Reader, Wanted};
pub(crate) use sending::{ByHand, Control, Delivered};
