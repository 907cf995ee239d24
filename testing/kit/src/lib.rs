//! What the tests of Towline share.
//!
//! - [`frame`](frame::frame) makes the bytes of any frame, also of one that must not be.
//! - [`Heard`] is what bytes on the wire say, for assertions.
//! - [`event`] has received events in a few letters, to compare with.
//! - [`negotiate`](negotiate::negotiate) is what a handshake agrees on.
//! - [`Peer`] is a mock peer: it speaks raw bytes to one connection and looks at the answer.
//! - [`Pair`] is both ends of a connection, on a transport and a time of the test's making.
//!
//! There are no assertions on how long something takes, and no sleeps: time is a value here, and
//! [`start`] the one look at the clock.

pub mod clock;

pub mod event;

pub mod frame;

pub mod heard;

pub mod negotiate;

pub mod peer;

pub mod pair;

pub use clock::start;
pub use event::Event;
pub use frame::{FrameBytes, frame, join};
pub use heard::{Heard, hear};
pub use negotiate::negotiate;
pub use pair::Pair;
pub use peer::Peer;
