//! The options of all topics.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::topics::Topics;
use crate::topics::options::TopicOptions;
use crate::topics::relay::{Incoming, Inlet, Relay};
use crate::topics::state::{Hub, Options};

/// Sets up topics; made by [`Topics::builder`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use towline::{Server, WhenFull};
/// use towline::topics::{TopicOptions, Topics};
///
/// let topics = Topics::builder()
///     .options(|name| match name.starts_with("price/") {
///         true => TopicOptions::default().when_full(WhenFull::KeepNewest(NonZeroUsize::MIN)),
///         false => TopicOptions::default(),
///     })
///     .build();
/// let server = Server::builder().topics(topics);
/// ```
#[derive(Default)]
#[must_use]
pub struct TopicsBuilder {
    options: Option<Options>,
    relay: Option<Arc<dyn Relay>>,
}

impl TopicsBuilder {
    /// Sets the options of topics, by their names. The function is called when a topic comes to
    /// exist. So the options of a topic do not depend on who asks for it first. Default: those of
    /// [`TopicOptions::default`] for all.
    pub fn options(
        mut self,
        options: impl Fn(&str) -> TopicOptions + Send + Sync + 'static,
    ) -> Self {
        self.options = Some(Box::new(options));
        self
    }

    /// Sets the relay that connects these topics to those of other nodes. Default: none.
    pub fn relay(mut self, relay: impl Relay) -> Self {
        self.relay = Some(Arc::new(relay));
        self
    }

    /// Returns the topics.
    ///
    /// # Panics
    ///
    /// With a relay, panics outside of a tokio runtime: the relay's futures run on that one.
    pub fn build(self) -> Topics {
        let hub = Hub::new(self.options, self.relay);
        if let Some(relayed) = &hub.relayed {
            let inlet: Arc<dyn Inlet> = hub.clone();
            let inlet: Weak<dyn Inlet> = Arc::downgrade(&inlet);
            relayed.relay.start(Incoming(inlet));
        }
        Topics(hub)
    }
}

impl fmt::Debug for TopicsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicsBuilder")
            .field("options", &self.options.is_some())
            .field("relay", &self.relay.is_some())
            .finish()
    }
}
