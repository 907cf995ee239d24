//! The interface to HTTP/2, which is an optional feature.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use towline_proto::handshake::{Opening, Target};

use crate::client::Settings;
use crate::client::asked::Asked;
use crate::client::progress::Progress;
use crate::client::upgrade::Reached;
use crate::connection::Connection;
use crate::error::Result;
use crate::transport::{Alpn, AnyStream, Whose};

/// The result of a carrier.
pub(crate) type Carried<'a> = Pin<Box<dyn Future<Output = Result<Connection>> + Send + 'a>>;

/// A handshake to make, and everything that it needs.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) asked: &'a Asked,
    /// The handshake over HTTP/1.1.
    pub(crate) opening: &'a Opening,
    pub(crate) whose: Whose,
    /// Whether a redirect will be followed.
    pub(crate) is_followed: bool,
    pub(crate) progress: &'a Progress,
}

/// A version of HTTP other than HTTP/1.1 that carries WebSockets.
pub(crate) trait Carrier: Any + Send + Sync {
    /// Returns the carrier for a client with other settings, which shares no connections with this
    /// one.
    fn renewed(&self) -> Arc<dyn Carrier>;

    /// Whether to use it for this server.
    fn carries(&self, target: &Target) -> bool;

    /// Connects to the server, over HTTP/1.1 if the server can do nothing else and the client is
    /// set up for it.
    fn connect<'a>(&'a self, plan: Plan<'a>) -> Carried<'a>;

    /// The protocols to offer on a stream that the program passed.
    fn alpn(&self) -> Alpn;

    /// Whether to use it on a stream that the program passed, after the TLS handshake.
    fn carries_on(&self, stream: &AnyStream) -> bool;

    /// Connects on a stream that the program passed.
    fn connect_on<'a>(&'a self, reached: Reached, plan: Plan<'a>) -> Carried<'a>;
}
