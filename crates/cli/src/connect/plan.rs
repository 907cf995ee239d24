//! The files that options name, before and after the conversation.

use std::sync::Arc;

use towline::Message;

use crate::connect::binary::Saving;
use crate::connect::clock::Times;
use crate::connect::comparison::Comparison;
use crate::connect::options::Options;
use crate::connect::output::Output;
use crate::connect::prelude;
use crate::connect::recorder::Recorder;
use crate::connect::recording::Recording;
use crate::connect::view::{Shown, View};
use crate::connect::wait::Wait;
use crate::exit::{Exit, Failure};

/// What files have to do with the conversation.
pub(crate) struct Plan {
    /// The messages with which each connection begins.
    pub(crate) first: Vec<Message>,
    pub(crate) replay: Option<Recording>,
    pub(crate) comparison: Option<Arc<Comparison>>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) saving: Option<Saving>,
    pub(crate) times: Option<Times>,
}

impl Plan {
    /// Reads and creates files, before anything is sent.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let (record, replay) = (options.tape.record.as_deref(), options.tape.replay.as_deref());
        let read = [("--replay", replay), ("--init", options.init.as_deref())];
        // Its file is emptied only later, with the first line of the recording.
        let recorder = record.map(|path| Recorder::create(path, &read)).transpose()?;
        let first = options.init.as_deref().map(prelude::open).transpose()?.unwrap_or_default();
        let replay = replay.map(Recording::open).transpose()?;
        let comparison = replay.as_ref().filter(|_| options.tape.compare);
        if comparison.is_some_and(|replay| replay.sent.is_empty() && replay.received.is_empty()) {
            let text =
                "--compare: the recording of --replay is empty: it has nothing to compare with";
            return Err(Failure::new(Exit::Usage, text));
        }
        let saving = options.display.save.as_deref().map(|directory| {
            Saving::to(directory).map_err(|error| {
                let text = format!("--save: can't create {}: {error}", directory.display());
                Failure::new(Exit::Usage, text)
            })
        });
        Ok(Self {
            first,
            comparison: comparison.map(|replay| Comparison::with(replay.received.clone()).into()),
            replay,
            saving: saving.transpose()?,
            recorder,
            times: options.display.time.map(Times::from_now),
        })
    }

    /// What to wait for before closing.
    pub(crate) fn wait(&self, options: &Options) -> Wait {
        options.awaited(self.replay.as_ref().map(|replay| replay.received.len() as u64))
    }

    /// Holds what the server said against the recording.
    pub(crate) fn compared(&self, exit: Exit, output: &Output) -> Result<Option<Shown>, Failure> {
        let Some(comparison) = self.comparison.as_ref().filter(|_| exit == Exit::Success) else {
            return Ok(None);
        };
        match comparison.result() {
            Ok(_) if output.view == View::Json => Ok(None),
            Ok(text) => Ok(Some(Shown::UnlessQuiet(text))),
            Err(text) => Err(Failure::new(Exit::Unclean, text)),
        }
    }
}
