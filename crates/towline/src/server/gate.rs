//! Opens and closes the way to the program.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use towline_proto::handshake::Mechanism;

use crate::connection::Timekeeper;
use crate::error::{Error, ErrorKind, Result};
use crate::server::answer::Answer;
use crate::server::connections::Connections;
use crate::server::hub::{Hub, Options};
use crate::server::listening;
use crate::server::way::{Arrived, Entry, Way, refuse, turn_away};
use crate::transport::AnyStream;

/// Holds the way to the program, which can be closed for a while or for good.
pub(crate) struct Gate {
    pub(crate) hub: Arc<Hub>,
    way: Weak<Way>,
    /// Locked while the standing changes.
    open: Mutex<Open>,
}

struct Open {
    /// Present as long as more requests may come.
    way: std::result::Result<Arc<Way>, Over>,
    /// Each stops when its sender is dropped.
    listeners: Vec<(Option<SocketAddr>, oneshot::Sender<()>)>,
}

/// Why no more requests come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over {
    ShutDown,
    Dropped,
    /// There never was a [`Server`](crate::Server).
    HandleOnly,
}

impl Gate {
    /// Returns the gate, and the receiving half of its way.
    pub(crate) fn new(options: Options) -> (Self, Arrived) {
        let hub = Hub::new(options, Connections::of_server());
        let (way, arrived) = Way::new(hub.clone());
        let weak = Arc::downgrade(&way);
        let open = Open { way: Ok(way), listeners: Vec::new() };
        (Self { hub, way: weak, open: Mutex::new(open) }, arrived)
    }

    /// Returns the gate of a server without a queue.
    pub(crate) fn without_way(options: Options) -> Self {
        let hub = Hub::new(options, Connections::of_server());
        let open = Open { way: Err(Over::HandleOnly), listeners: Vec::new() };
        Self { hub, way: Weak::new(), open: Mutex::new(open) }
    }

    /// Accepts on this socket, unless the server has ended.
    pub(crate) fn mount(&self, listener: TcpListener) -> Result<()> {
        let runtime = Handle::current();
        Timekeeper::check_runtime();
        let address = listener.local_addr().ok();
        let mut open = self.lock();
        let way = match &open.way {
            Ok(way) => way.clone(),
            Err(over) => return Err(over.error(address)),
        };
        let term = self.hub.standing.mount();
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(listening::accept(way, listener, term, stopped));
        open.listeners.push((address, stop));
        Ok(())
    }

    /// Stops taking requests. Incomplete ones are refused.
    pub(crate) fn unmount(&self) {
        self.close(None);
    }

    /// Stops taking requests for good.
    pub(crate) fn end(&self, over: Over) {
        self.close(Some(over));
        // After a shutdown the program can still take requests, but auto-accepted connections would
        // be closed at once, and nothing is taken from a server that is dropped.
        if matches!(over, Over::Dropped) || self.hub.options.auto_accept {
            self.hub.places.close();
        }
    }

    fn close(&self, over: Option<Over>) {
        let mut open = self.lock();
        self.hub.standing.unmount();
        let listeners = mem::take(&mut open.listeners);
        let way = match over {
            // The first reason stays. That there is no queue is none for an end.
            Some(over) if matches!(open.way, Ok(_) | Err(Over::HandleOnly)) => {
                mem::replace(&mut open.way, Err(over)).ok()
            }
            _ => None,
        };
        drop(open);
        // Wakes those who wait for requests.
        drop((listeners, way));
        self.hub.standing.tell();
    }

    /// Whether no requests come any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.lock().way, Err(Over::ShutDown | Over::Dropped))
    }

    /// The addresses of the listening sockets.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().listeners.iter().filter_map(|(address, _)| *address).collect()
    }

    /// Returns the way once there is a place among the handshakes, or `None` if the server is not
    /// mounted by then.
    pub(crate) async fn enter(&self) -> Option<(Arc<Way>, OwnedSemaphorePermit)> {
        let term = self.hub.standing.term()?;
        let permit = self.hub.place_during(term).await?;
        Some((self.way.upgrade()?, permit))
    }

    /// Starts the handshake on a stream as soon as there is a place for it.
    pub(crate) fn serve(&self, stream: AnyStream, peer: Option<SocketAddr>) {
        Timekeeper::check_runtime();
        let hub = self.hub.clone();
        let way = hub.standing.term().zip(self.way.upgrade());
        // With a place, the timeout counts from now.
        let permit = hub.handshakes.clone().try_acquire_owned().ok();
        tokio::spawn(async move {
            if let Some((term, way)) = way {
                let permit = match permit {
                    Some(permit) => Some(permit),
                    None => hub.place_during(term).await,
                };
                if let Some(permit) = permit {
                    let admission = match hub.arrive(peer) {
                        Ok(admission) => admission,
                        Err(rejection) => {
                            drop(way);
                            return turn_away(hub, stream, rejection, peer, permit).await;
                        }
                    };
                    let deadline = way.deadline();
                    let entry = Entry { term, permit, admission };
                    return way.handshake(stream, false, peer, entry, deadline).await;
                }
            }
            refuse(&hub, Answer::on(stream), Mechanism::Http1Upgrade, peer).await;
        });
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Over {
    fn error(self, address: Option<SocketAddr>) -> Error {
        let address = address.map_or_else(String::new, |address| format!(" on {address}"));
        let why = match self {
            Self::ShutDown => "the server was shut down",
            Self::Dropped => "its `Server` was dropped",
            Self::HandleOnly => "the server has only handles (build_handle), which cannot listen",
        };
        Error::new(ErrorKind::ServerGone, format!("can't listen{address}: {why}"))
    }
}
