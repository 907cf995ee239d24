//! What one connection can do to all others: for how long the server's threads run nothing but it,
//! and how soon others are answered meanwhile.

mod scenario;

pub(crate) mod outcome;

mod measuring;

mod table;

pub(crate) use measuring::{Span, is_able, measure};
pub(crate) use scenario::{SCENARIOS, Scenario};
pub(crate) use table::table;
