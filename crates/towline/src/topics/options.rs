//! The options of topics.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use towline_proto::Message;

use crate::connection::IfSlow;

/// The policy for members that are slow: those whose outgoing queue is
/// [full](crate::Config::send_high_water_mark) when a message of the topic is delivered.
///
/// A member whose own [`send`](crate::Sender::send) waits for room counts as slow, too, until that has
/// its turn, except for [`Close`](Self::Close). A publisher never waits for a member, whatever the policy
/// is.
///
/// [`TopicOptions`] has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowMember {
    /// The member does not get this message. Use it for independent messages, if a gap does no harm.
    #[default]
    Skip,
    /// The newest messages, this many for each topic and member, are kept and sent when there is
    /// room. When there are more, the oldest is skipped. Use it for messages that describe the
    /// current state. The members that keep a message share its memory.
    KeepNewest(NonZeroUsize),
    /// The connection is ended with 1013 (try again later). Use it if no message may be missing: the
    /// client has to connect again and ask for what it has missed. The code invites it to, while a
    /// broadcast with [`WhenFull::Close`](crate::WhenFull::Close) ends a connection with 1008.
    Close,
}

impl SlowMember {
    pub(crate) fn policy(self) -> IfSlow {
        match self {
            Self::Skip => IfSlow::Skip,
            Self::KeepNewest(most) => IfSlow::KeepNewest(most),
            Self::Close => IfSlow::Close,
        }
    }
}

/// Makes the message that tells a member of skipped messages.
pub(crate) type Notice = Arc<dyn Fn(u64) -> Message + Send + Sync>;

/// The options of a topic, see [`TopicsBuilder::options`](crate::topics::TopicsBuilder::options).
///
/// ```
/// use std::num::NonZeroUsize;
/// use towline::Message;
/// use towline::topics::{SlowMember, TopicOptions};
///
/// let options = TopicOptions::default()
///     .slow(SlowMember::KeepNewest(NonZeroUsize::MIN))
///     .notice(|skipped| Message::text(format!("{{\"skipped\": {skipped}}}")));
/// ```
#[derive(Clone)]
#[must_use]
pub struct TopicOptions {
    pub(crate) slow: SlowMember,
    pub(crate) notice: Option<Notice>,
    pub(crate) max_queued_bytes: usize,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self { slow: SlowMember::default(), notice: None, max_queued_bytes: 1 << 20 }
    }
}

impl TopicOptions {
    /// Sets what happens to members that are slow. Default: [`SlowMember::Skip`].
    pub fn slow(mut self, slow: SlowMember) -> Self {
        self.slow = slow;
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
            .field("slow", &self.slow)
            .field("notice", &self.notice.is_some())
            .field("max_queued_bytes", &self.max_queued_bytes)
            .finish()
    }
}
