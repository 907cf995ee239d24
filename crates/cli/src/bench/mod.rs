//! `towline bench`.

pub(crate) mod results;

#[cfg(test)]
mod sample;

mod figures;

mod stored;

mod merge;

mod report;

mod compare;

mod after;
