//! The opening handshake on a stream.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Extensions, Response};
use towline_proto::Role;
use towline_proto::handshake::{Agreed, HandshakeError, Opening};
use tracing::{Instrument as _, Span};

use crate::client::Settings;
use crate::client::answer::{WANTS_TLS, ask, body_start, wants_tls};
use crate::client::redirect::{is_redirect, url};
use crate::connection::{
    Answered, Connection, Established, Info, Requested, answered as record_answer, handshake,
    next_id,
};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::AnyStream;

/// A stream to a server, and what is at its other end.
pub(crate) struct Reached {
    pub(crate) stream: AnyStream,
    pub(crate) peer_addr: Option<SocketAddr>,
    /// The proxy in between.
    pub(crate) proxy: Option<String>,
}

/// A handshake that is done.
pub(crate) struct Accepted<'a> {
    pub(crate) reached: Reached,
    /// Bytes that were read after the end of the response.
    pub(crate) early: Vec<u8>,
    pub(crate) agreed: Agreed,
    pub(crate) opening: &'a Opening,
    pub(crate) data: Extensions,
    pub(crate) response: Response<()>,
    /// Of the handshake.
    pub(crate) span: Span,
}

impl Settings {
    /// Does the handshake on a stream to the server. If redirects are followed, the body of a
    /// redirect is not read.
    pub(crate) async fn upgrade(
        &self,
        reached: Reached,
        opening: &Opening,
        data: Extensions,
        is_followed: bool,
    ) -> Result<Connection> {
        let Reached { mut stream, peer_addr, proxy } = reached;
        let whom = opening.target().authority();
        let (limits, mut early) = (&self.head_limits, Vec::new());
        let request = opening.request();
        let span = handshake(Role::Client, || whom, request.uri().path(), peer_addr);
        let asking = ask(&mut stream, request, limits, &mut early, (ErrorKind::Handshake, whom));
        let response = asking.instrument(span.clone()).await?;
        record_answer(&span, response.status(), None);
        let agreed = match opening.verify(&response) {
            Ok(agreed) => agreed,
            Err(error @ HandshakeError::Status { status, .. }) => {
                let body = match is_followed && is_redirect(status) {
                    true => Bytes::new(),
                    false => body_start(&mut stream, early, &response).await,
                };
                let (kind, why) = match stream.tls() {
                    None if wants_tls(status, &body) => (ErrorKind::IsTls, WANTS_TLS),
                    _ => (ErrorKind::HttpResponse, ""),
                };
                return Err(Error::new(kind, format!("{whom}: {error}{why}"))
                    .with_source(error)
                    .with_response(response.map(|()| body)));
            }
            Err(error) => {
                return Err(Error::new(ErrorKind::Handshake, format!("{whom}: {error}"))
                    .with_source(error)
                    .with_response(response.map(|()| Bytes::new())));
            }
        };
        let reached = Reached { stream, peer_addr, proxy };
        Ok(self.established(Accepted { reached, early, agreed, opening, data, response, span }))
    }

    /// Returns the connection of a handshake that is done.
    pub(crate) fn established(&self, accepted: Accepted<'_>) -> Connection {
        let Accepted { reached, early, agreed, opening, data, response, span } = accepted;
        let Reached { stream, peer_addr, proxy } = reached;
        if let Some(protocol) = &agreed.protocol {
            span.record("protocol", protocol.as_str());
        }
        let info = Info {
            id: next_id(),
            role: Role::Client,
            protocol: agreed.protocol.map(|protocol| protocol.as_str().into()),
            compression: agreed.compression,
            version: agreed.version,
            remote_address: peer_addr.map(|address| address.ip()),
            peer_addr,
            tls: stream.tls(),
            http_version: Some(response.version()),
            request: Requested::new(opening.target().resource(), data),
        };
        let url = url(opening.target()).parse().ok();
        let request = self.keep_request.then(|| Box::new(opening.request().clone()));
        let answered = Answered { url, proxy, request, response };
        let response = Some(Box::new(answered));
        let established = Established { stream, early, info, response };
        span.in_scope(|| Connection::establish(established, &self.config, None))
    }
}
