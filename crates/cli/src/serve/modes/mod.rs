//! What is done with connections: one mode for the whole server.

mod visit;

mod agreed;

mod names;

mod echo;

mod broadcast;

pub(crate) mod chat;

mod topics;

mod proxy;

mod exec;

use std::sync::Arc;

use towline::topics::Topics;
use towline::{Request, ServerBuilder};

use crate::exit::Failure;
use crate::serve::handling::{Handling, Target};
use crate::serve::hosts::Hosts;
use crate::serve::live::Live;
use crate::serve::modes::broadcast::Broadcast;
use crate::serve::modes::chat::{Chat, RoomStats};
use crate::serve::modes::echo::Echo;
use crate::serve::modes::exec::Exec;
use crate::serve::modes::proxy::Proxy;
use crate::serve::modes::topics::Hub;
use crate::serve::modes::visit::{Host, Mode as _, visit};
use crate::serve::relay;

/// The mode of a server, shared by all threads.
#[derive(Clone)]
pub(crate) struct Service {
    way: Way,
    host: Host,
}

#[derive(Clone)]
enum Way {
    Echo(Arc<Echo>),
    Broadcast(Arc<Broadcast>),
    Chat(Arc<Chat>),
    Topics(Arc<Hub>),
    Proxy(Arc<Proxy>),
    Exec(Arc<Exec>),
}

impl Service {
    /// Sets up the mode that the options ask for. Connections that end are listed in `live`.
    pub(crate) async fn new(
        handling: &Handling,
        protocols: &[String],
        hosts: Arc<Hosts>,
        verbose: u8,
        live: Live,
    ) -> Result<Self, Failure> {
        let protocols = protocols.to_vec();
        let way = match handling.target() {
            Target::Echo => Way::Echo(Arc::new(Echo::new(protocols, verbose))),
            Target::Broadcast => Way::Broadcast(Arc::new(Broadcast::new(protocols))),
            Target::Chat => Way::Chat(Arc::new(Chat::new())),
            Target::Topics => {
                let mut builder = topics::builder();
                if let Some(url) = &handling.relay {
                    builder = relay::connect(url, builder).await?;
                }
                let topics = builder.build();
                relay::watch(&topics);
                let max_subscriptions = handling.max_subscriptions();
                Way::Topics(Arc::new(Hub { topics, max_subscriptions, verbose }))
            }
            Target::Proxy(backend) => {
                let timeout = handling.connect_timeout;
                Way::Proxy(Arc::new(Proxy::new(backend, protocols, hosts, timeout, verbose)))
            }
            Target::Exec(orders) => Way::Exec(Arc::new(Exec::new(orders, protocols, hosts))),
        };
        Ok(Self { way, host: Host { verbose, live } })
    }

    /// One set of topics is that of all workers.
    pub(crate) fn install(&self, builder: ServerBuilder) -> ServerBuilder {
        match self.topics() {
            Some(topics) => builder.topics(topics.clone()),
            None => builder,
        }
    }

    /// The topics, if the mode has them.
    pub(crate) fn topics(&self) -> Option<&Topics> {
        match &self.way {
            Way::Topics(hub) => Some(&hub.topics),
            Way::Broadcast(broadcast) => Some(&broadcast.topics),
            Way::Chat(chat) => Some(&chat.topics),
            Way::Echo(_) | Way::Proxy(_) | Way::Exec(_) => None,
        }
    }

    /// The word for the mode.
    pub(crate) fn name(&self) -> &'static str {
        match &self.way {
            Way::Echo(_) => "echo",
            Way::Broadcast(_) => "broadcast",
            Way::Chat(_) => "chat",
            Way::Topics(_) => "topics",
            Way::Proxy(_) => "proxy",
            Way::Exec(_) => "exec",
        }
    }

    /// The rooms of a chat.
    pub(crate) fn rooms(&self) -> Option<Vec<RoomStats>> {
        match &self.way {
            Way::Chat(chat) => Some(chat.rooms()),
            _ => None,
        }
    }

    /// Accepts a request and stays with it until its connection has ended. Returns whether it was
    /// closed cleanly; a request that does not become a connection counts as clean.
    pub(crate) async fn serve(self, request: Request) -> bool {
        let host = &self.host;
        // The larger futures are boxed, or each echo would take the memory of the largest.
        match self.way {
            Way::Echo(echo) => visit(&*echo, request, host).await,
            Way::Broadcast(broadcast) => visit(&*broadcast, request, host).await,
            Way::Chat(chat) => Box::pin(visit(&*chat, request, host)).await,
            Way::Topics(hub) => Box::pin(visit(&*hub, request, host)).await,
            Way::Proxy(proxy) => Box::pin(visit(&*proxy, request, host)).await,
            Way::Exec(exec) => Box::pin(visit(&*exec, request, host)).await,
        }
    }

    /// What all connections have done.
    pub(crate) fn summary(&self) -> String {
        match &self.way {
            Way::Echo(echo) => echo.summary(),
            Way::Broadcast(broadcast) => broadcast.summary(),
            Way::Chat(chat) => chat.summary(),
            Way::Topics(hub) => hub.summary(),
            Way::Proxy(proxy) => proxy.summary(),
            Way::Exec(exec) => exec.summary(),
        }
    }

    /// Ends at once what would outlive this process.
    pub(crate) fn abandon(&self) {
        if let Way::Exec(exec) = &self.way {
            exec.kill_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that serves a connection.
    fn size<F>(_: impl FnOnce(Service, Request) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_echo_does_not_pay_for_other_modes() {
        assert!(size(Service::serve) <= 1280, "{} B", size(Service::serve));
    }
}
