//! WebSockets over HTTP/2 (RFC 8441), for clients.

mod explain;

mod chunk;

mod ready;

mod parting;

mod watched;

mod line;

mod driver;

mod stream;

mod request;

mod pool;

mod options;

use std::sync::Arc;

use http::Response;
use towline_proto::Role;
use towline_proto::handshake::{Mechanism, Opening, Target};
use tracing::Instrument as _;

use crate::client::carrier::{Carried, Carrier, Plan};
use crate::client::connecting::through;
use crate::client::http2::driver::begin;
use crate::client::http2::explain::Failed;
use crate::client::http2::line::Lease;
use crate::client::http2::pool::{Key, Pool, Slot};
use crate::client::http2::request::{NotOpened, Opened, open};
use crate::client::upgrade::{Accepted, Reached};
use crate::connection::{Connection, answered as record_answer, handshake};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Alpn, AnyStream, HTTP_1, Whose};

pub use options::HttpVersion;

use crate::client::http2::options::Options;

/// The carrier for HTTP/2.
pub(crate) struct Http2 {
    options: Options,
    pool: Pool,
}

/// A way to open the WebSocket.
enum Way {
    /// A stream of a connection that others use too, or of a new one.
    Shared(Lease),
    New(Lease),
    /// HTTP/1.1, on this stream or on a new one.
    Http1(Option<Reached>),
}

impl Http2 {
    fn new(options: Options) -> Arc<Self> {
        Arc::new(Self { options, pool: Pool::default() })
    }

    async fn connect_to(&self, plan: Plan<'_>) -> Result<Connection> {
        let (settings, target) = (plan.settings, plan.opening.target());
        let proxy = settings.proxy.hop(target)?.map(|hop| hop.to_string());
        let slot = self.pool.slot(&Key {
            is_secure: target.is_secure(),
            host: target.host().to_owned(),
            port: target.port(),
            is_named: plan.whose == Whose::Named,
            proxy,
        });
        let opening = extended(plan)?;
        loop {
            let (lease, is_new) = match self.way(&slot, plan).await? {
                Way::Shared(lease) => (lease, false),
                Way::New(lease) => (lease, true),
                Way::Http1(reached) => {
                    let reached = match reached {
                        Some(reached) => reached,
                        None => plan.reach(HTTP_1).await?,
                    };
                    return plan.upgrade(reached).await;
                }
            };
            let line = lease.line().clone();
            match self.open(lease, &opening, plan).await {
                // Retired, the connection is not chosen again.
                Err(NotOpened::Unprocessed(_)) if !is_new => line.retire(),
                Err(NotOpened::WantsHttp1(_)) if self.options.can_fall_back() => {
                    slot.remember_http_1();
                }
                opened => {
                    let opened = opened.map_err(NotOpened::into_error);
                    return opened.map_err(|error| through(line.proxy.as_deref(), error));
                }
            }
        }
    }

    /// Finds a connection with room, or makes one. One is made at a time, and its failure is that of
    /// all that wait for it.
    async fn way(&self, slot: &Arc<Slot>, plan: Plan<'_>) -> Result<Way> {
        if let Some(way) = self.known_way(slot) {
            return Ok(way);
        }
        let failures = slot.failures();
        plan.progress.is("waiting for a connection that is being made to the same server");
        let _one = slot.opening.lock().await;
        if let Some(way) = self.known_way(slot) {
            return Ok(way);
        }
        if let Some(error) = slot.failure_after(failures) {
            return Err(error);
        }
        let made = self.make(slot, plan).await;
        made.inspect_err(|error| slot.note_failure(error))
    }

    /// Makes a connection.
    async fn make(&self, slot: &Arc<Slot>, plan: Plan<'_>) -> Result<Way> {
        let target = plan.opening.target();
        let reached = plan.reach(self.options.alpn()).await?;
        if target.is_secure() && !is_http_2(&reached.stream) {
            if self.options.can_fall_back() {
                slot.remember_http_1();
                return Ok(Way::Http1(Some(reached)));
            }
            let error = Error::new(ErrorKind::NoApplicationProtocol, no_http_2(target));
            return Err(through(reached.proxy.as_deref(), error));
        }
        let proxy = reached.proxy.clone();
        let lease = self.begin(reached, plan).await;
        let lease = lease.map_err(|error| through(proxy.as_deref(), error))?;
        if lease.line().allows_connect() {
            slot.add(lease.line());
            return Ok(Way::New(lease));
        }
        if target.is_secure() && self.options.can_fall_back() {
            slot.remember_http_1();
            return Ok(Way::Http1(None));
        }
        Err(through(proxy.as_deref(), Error::new(ErrorKind::NoExtendedConnect, no_setting(target))))
    }

    fn known_way(&self, slot: &Arc<Slot>) -> Option<Way> {
        if slot.needs_http_1() && self.options.can_fall_back() {
            return Some(Way::Http1(None));
        }
        slot.lease().map(Way::Shared)
    }

    /// Begins HTTP/2, and waits for the server's settings.
    async fn begin(&self, reached: Reached, plan: Plan<'_>) -> Result<Lease> {
        let target = plan.opening.target();
        let limits = &plan.settings.head_limits;
        plan.progress.is("waiting for the server's HTTP/2 settings");
        let no_http_2 = |failed: Option<Arc<Failed>>| {
            let hint = match target.is_secure() {
                true => "",
                false => {
                    "; over ws:// the server has to know that HTTP/2 is meant (prior knowledge)"
                }
            };
            let whom = target.authority();
            let message = match &failed {
                Some(failed) => format!("no HTTP/2 with {whom}: {failed}{hint}"),
                None => format!("no HTTP/2 with {whom}: the server closed the connection{hint}"),
            };
            let error = Error::new(ErrorKind::Handshake, message);
            match failed {
                Some(failed) => error.with_source(failed),
                None => error,
            }
        };
        let begun = begin(reached, self.options.stream_window, limits).await;
        let lease = begun.map_err(|failed| no_http_2(Some(Arc::new(failed))))?;
        if let Err(failed) = lease.greeted().await {
            return Err(match lease.line().own_error() {
                Some((kind, message)) => Error::new(kind, message),
                None => no_http_2(failed),
            });
        }
        if lease.line().allows_connect() && lease.line().most_streams() == 0 {
            let whom = target.authority();
            let message =
                format!("{whom} allows no HTTP/2 stream (SETTINGS_MAX_CONCURRENT_STREAMS is 0)");
            return Err(Error::new(ErrorKind::Handshake, message));
        }
        Ok(lease)
    }

    async fn open(
        &self,
        lease: Lease,
        opening: &Opening,
        plan: Plan<'_>,
    ) -> std::result::Result<Connection, NotOpened> {
        plan.progress.is("waiting for the server's answer");
        let line = lease.line().clone();
        let limits = &plan.settings.head_limits;
        let (whom, path) = (opening.target().authority(), opening.request().uri().path());
        let span = handshake(Role::Client, || whom, path, line.peer_addr);
        let opened = open(lease, opening, limits, plan.is_followed);
        let opened = opened.instrument(span.clone()).await;
        let answer = match &opened {
            Ok(opened) => Some(opened.response.status()),
            Err(NotOpened::Other(error)) => error.response().map(Response::status),
            Err(_) => None,
        };
        if let Some(status) = answer {
            record_answer(&span, status, None);
        }
        let Opened { stream, agreed, response } = opened?;
        let reached = Reached {
            stream: AnyStream::Duplex(stream),
            peer_addr: line.peer_addr,
            proxy: line.proxy.clone(),
        };
        let data = plan.asked.data.clone();
        let early = Vec::new();
        let accepted = Accepted { reached, early, agreed, opening, data, response, span };
        Ok(plan.settings.established(accepted))
    }

    async fn connect_alone(&self, reached: Reached, plan: Plan<'_>) -> Result<Connection> {
        let target = plan.opening.target();
        let opening = extended(plan)?;
        if target.is_secure() && reached.stream.tls().is_some() && !is_http_2(&reached.stream) {
            return Err(Error::new(ErrorKind::NoApplicationProtocol, no_http_2(target)));
        }
        let lease = self.begin(reached, plan).await?;
        if !lease.line().allows_connect() {
            return Err(Error::new(ErrorKind::NoExtendedConnect, no_setting(target)));
        }
        self.open(lease, &opening, plan).await.map_err(NotOpened::into_error)
    }
}

impl Carrier for Http2 {
    fn renewed(&self) -> Arc<dyn Carrier> {
        Self::new(self.options)
    }

    fn carries(&self, target: &Target) -> bool {
        match self.options.version {
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
            HttpVersion::Auto => target.is_secure(),
        }
    }

    fn connect<'a>(&'a self, plan: Plan<'a>) -> Carried<'a> {
        Box::pin(self.connect_to(plan))
    }

    fn alpn(&self) -> Alpn {
        self.options.alpn()
    }

    fn carries_on(&self, stream: &AnyStream) -> bool {
        match self.options.version {
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
            HttpVersion::Auto => is_http_2(stream),
        }
    }

    fn connect_on<'a>(&'a self, reached: Reached, plan: Plan<'a>) -> Carried<'a> {
        Box::pin(self.connect_alone(reached, plan))
    }
}

/// The handshake over HTTP/2.
fn extended(plan: Plan<'_>) -> Result<Opening> {
    let connect = plan.asked.connect.clone();
    plan.asked.open_by(&connect.mechanism(Mechanism::ExtendedConnect))
}

/// Whether ALPN has selected HTTP/2.
fn is_http_2(stream: &AnyStream) -> bool {
    stream.tls().is_some_and(|tls| tls.alpn.as_deref() == Some(b"h2"))
}

fn no_http_2(target: &Target) -> String {
    format!(
        "{} does not speak HTTP/2: it did not select \"h2\" by ALPN (http_version)",
        target.authority()
    )
}

fn no_setting(target: &Target) -> String {
    format!(
        "{} takes no WebSockets over HTTP/2: it did not send SETTINGS_ENABLE_CONNECT_PROTOCOL \
         (RFC 8441); HttpVersion::Http1 and, over wss://, HttpVersion::Auto use HTTP/1.1",
        target.authority()
    )
}
