//! The options for recordings.

use std::path::PathBuf;

use clap::Args;

use crate::connect::replay::Speed;

/// The options for recordings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recordings")]
pub(crate) struct Tape {
    /// Record both sides of the conversation in this file, as lines of JSON. What was in it is
    /// overwritten once a connection is open
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Send what the client sent in this recording, at the same times. Then wait for as many messages as
    /// the server sent, or until it is silent for 5 s
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["message", "binary", "publish", "subscribe", "once", "reconnect"],
    )]
    pub(crate) replay: Option<PathBuf>,

    /// Replay so many times as fast, such as 2 or 0.5, or without waiting: max
    #[arg(long, value_name = "FACTOR|max", default_value = "1", requires = "replay")]
    pub(crate) speed: Speed,

    /// Compare the server's messages with the recording. Show those that differ, and exit with 1 if any
    /// does. JSON is the same whatever its white space and the order of members
    #[arg(long, requires = "replay")]
    pub(crate) compare: bool,
}
