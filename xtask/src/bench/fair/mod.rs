//! The effect of one connection on all others: how long the server's threads run nothing else, and the
//! latency of the others meanwhile.

mod scenario;

pub(crate) mod outcome;

mod measuring;

mod table;

pub(crate) use measuring::{Span, is_able, measure};
pub(crate) use scenario::{SCENARIOS, Scenario};
pub(crate) use table::{table, time};
