//! What topics have done.

/// What a topic has done so far, see [`Topic::stats`](crate::topics::Topic::stats).
///
/// ```
/// # fn example(room: &towline::topics::Topic) {
/// let stats = room.stats();
/// println!("{} members, {} messages, {} skipped", stats.members, stats.published, stats.skipped);
/// # }
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// How many connections are members.
    pub members: usize,
    /// How many messages were published on this node.
    pub published: u64,
    /// How many messages of other nodes have arrived through the relay.
    pub relayed: u64,
    /// How many times a message was queued at a member.
    pub delivered: u64,
    /// How many times a message was skipped because the member was slow.
    pub skipped: u64,
}

/// What all topics have done so far, see [`Topics::stats`](crate::topics::Topics::stats).
///
/// ```
/// # fn example(server: &towline::Server) {
/// let stats = server.topics().stats();
/// println!("{} topics, {} memberships", stats.topics, stats.members);
/// # }
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicsStats {
    /// How many topics exist.
    pub topics: usize,
    /// How many memberships there are: a connection that is in two topics counts twice.
    pub members: usize,
    /// As [`TopicStats::published`], of all topics that ever existed, as are those that follow.
    pub published: u64,
    /// As [`TopicStats::relayed`].
    pub relayed: u64,
    /// As [`TopicStats::delivered`].
    pub delivered: u64,
    /// As [`TopicStats::skipped`].
    pub skipped: u64,
}

impl TopicsStats {
    /// Adds a topic that exists.
    pub(crate) fn add(&mut self, topic: &TopicStats) {
        self.topics += 1;
        self.members += topic.members;
        self.add_past(topic);
    }

    /// Adds a topic that is gone.
    pub(crate) fn add_past(&mut self, topic: &TopicStats) {
        self.published += topic.published;
        self.relayed += topic.relayed;
        self.delivered += topic.delivered;
        self.skipped += topic.skipped;
    }

    /// Adds the sums of others.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.topics += other.topics;
        self.members += other.members;
        self.published += other.published;
        self.relayed += other.relayed;
        self.delivered += other.delivered;
        self.skipped += other.skipped;
    }
}
