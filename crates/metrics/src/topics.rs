//! The metrics of topics.

use std::fmt;

use metrics::{Label, SharedString, counter, gauge};
use towline::topics::{Topics, TopicsStats};

use crate::names;

/// Reports the metrics of [`Topics`] to the recorder that is installed: how many topics and members
/// there are, and what was published, relayed, delivered and skipped.
///
/// Topics are observed apart from servers, since several servers can share them: one observer for each
/// [`Topics`]. There is no metric for a single topic: each would be a series of its own, and clients
/// often choose the names.
///
/// ```
/// use towline::topics::Topics;
/// use towline_metrics::TopicsObserver;
///
/// let topics = Topics::new();
/// let mut observer = TopicsObserver::new(topics.clone()).label("node", "a");
/// // Every few seconds, or before each scrape:
/// observer.collect();
/// ```
pub struct TopicsObserver {
    topics: Topics,
    labels: Vec<Label>,
    last: TopicsStats,
    was_relay_lost: bool,
}

impl TopicsObserver {
    /// Creates an observer, and describes the metrics with their units to the recorder.
    #[must_use]
    pub fn new(topics: Topics) -> Self {
        names::describe_topics();
        let (labels, last) = (Vec::new(), TopicsStats::default());
        Self { topics, labels, last, was_relay_lost: false }
    }

    /// Adds a label to all metrics. Call it before the first [`collect`](Self::collect).
    #[must_use]
    pub fn label(mut self, name: impl Into<SharedString>, value: impl Into<SharedString>) -> Self {
        self.labels.push(Label::new(name, value));
        self
    }

    /// Reads the counts now. It looks at each topic, and at no member: about a millisecond for 10,000
    /// topics.
    pub fn collect(&mut self) {
        let (now, is_relay_lost) = (self.topics.stats(), self.topics.is_relay_lost());
        self.read(now, is_relay_lost);
    }

    fn read(&mut self, now: TopicsStats, is_relay_lost: bool) {
        let last = std::mem::replace(&mut self.last, now);
        let was_relay_lost = std::mem::replace(&mut self.was_relay_lost, is_relay_lost);
        for (name, before, now) in [
            (names::TOPICS, last.topics, now.topics),
            (names::TOPICS_MEMBERS, last.members, now.members),
            (names::TOPICS_RELAY_LOST, was_relay_lost.into(), is_relay_lost.into()),
        ] {
            let gauge = gauge!(name, self.labels.clone());
            if now >= before {
                gauge.increment((now - before) as f64);
            } else {
                gauge.decrement((before - now) as f64);
            }
        }
        for (name, last, now) in [
            (names::TOPICS_PUBLISHED, last.published, &mut self.last.published),
            (names::TOPICS_RELAYED, last.relayed, &mut self.last.relayed),
            (names::TOPICS_DELIVERED, last.delivered, &mut self.last.delivered),
            (names::TOPICS_SKIPPED, last.skipped, &mut self.last.skipped),
        ] {
            // A topic that goes during a reading can be missing in it.
            *now = last.max(*now);
            counter!(name, self.labels.clone()).increment(*now - last);
        }
    }
}

impl fmt::Debug for TopicsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicsObserver").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Gauges of topics that are not observed any more are without what they have added.
impl Drop for TopicsObserver {
    fn drop(&mut self) {
        let mut over = self.last;
        (over.topics, over.members) = (0, 0);
        self.read(over, false);
    }
}
