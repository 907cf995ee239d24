//! The options of topics.

use std::fmt;
use std::sync::Arc;

use towline_proto::Message;

use crate::connection::WhenFull;

/// Makes the message that tells a member of skipped messages.
pub(crate) type Notice = Arc<dyn Fn(u64) -> Message + Send + Sync>;

/// The options of a topic, see [`TopicsBuilder::options`](crate::topics::TopicsBuilder::options).
///
/// ```
/// use std::num::NonZeroUsize;
/// use towline::{Message, WhenFull};
/// use towline::topics::TopicOptions;
///
/// let options = TopicOptions::default()
///     .when_full(WhenFull::KeepNewest(NonZeroUsize::MIN))
///     .notice(|skipped| Message::text(format!("{{\"skipped\": {skipped}}}")));
/// ```
#[derive(Clone)]
#[must_use]
pub struct TopicOptions {
    pub(crate) when_full: WhenFull,
    pub(crate) notice: Option<Notice>,
    pub(crate) max_queued_bytes: usize,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self { when_full: WhenFull::default(), notice: None, max_queued_bytes: 1 << 20 }
    }
}

impl TopicOptions {
    /// Sets what happens to members that are slow: those whose outgoing queue is full. Default:
    /// [`WhenFull::Skip`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Tells members what they have missed: the function gets the number of messages of this topic
    /// that were skipped since the member was last told, and returns the message that is sent before
    /// the next one of the topic. Default: members are not told.
    ///
    /// It is called by the topic's delivery whenever it skips a message, and should return soon.
    pub fn notice(mut self, notice: impl Fn(u64) -> Message + Send + Sync + 'static) -> Self {
        self.notice = Some(Arc::new(notice));
        self
    }

    /// Sets how many bytes can be queued in the topic itself. Each message counts as its payload and
    /// 256 bytes more. When there are more, [`publish`](crate::topics::Topic::publish) waits until
    /// the delivery to this node's members has caught up, which depends on the processor, never on a
    /// member. Default: 1 MiB.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes;
        self
    }
}

impl fmt::Debug for TopicOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicOptions")
            .field("when_full", &self.when_full)
            .field("notice", &self.notice.is_some())
            .field("max_queued_bytes", &self.max_queued_bytes)
            .finish()
    }
}
