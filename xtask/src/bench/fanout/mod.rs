//! Fan-out: the processor time of a message that reaches one member of a topic.

mod scenario;

mod outcome;

mod measuring;

mod table;

pub(crate) use measuring::measure;
pub(crate) use scenario::{SCENARIOS, Scenario};
pub(crate) use table::table;
