//! The answer to a request: accepted, rejected, or dropped.

use std::future::Future;
use std::io;
use std::mem;
use std::sync::{Arc, PoisonError};

use http::StatusCode;
use towline_proto::Role;
use towline_proto::handshake::{Accept, Agreed, Protocol, Rejection};
use tracing::Instrument as _;

use crate::connection::{
    Connection, Established, Info, Requested, Throttle, answered as record_answer, next_id,
};
use crate::error::{Error, ErrorKind, Result};
use crate::server::account::Account;
use crate::server::answer::{Accepted, Answer};
use crate::server::event::ServerEvent;
use crate::server::measurement::Measurement;
use crate::server::rejections::unanswered;
use crate::server::request::{Parts, Request};
use crate::server::see_through::SeeThrough;
use crate::transport::TlsInfo;

impl Request {
    /// Accepts without a subprotocol, if the server's [origin policy](crate::OriginPolicy) allows
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OriginRefused`] for a page of another origin; it has been answered with 403.
    /// [`ErrorKind::RequestGone`] if the client is gone, or has not taken the response within the
    /// [`handshake_timeout`](crate::ServerBuilder::handshake_timeout).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client gets one whole response. If this future is dropped after it was
    /// polled, it continues in the background, and the connection is closed with 1001, as any
    /// dropped connection. If it was never polled, the request is dropped, and so answered with
    /// 500.
    pub fn accept(self) -> impl Future<Output = Result<Connection>> + Send {
        self.accept_with(Accept::new())
    }

    /// Accepts with a subprotocol, a confirmed origin, cookies or headers.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept). [`ErrorKind::InvalidHandshakeOption`] for a subprotocol that
    /// was not offered or an invalid header; the request has been answered with 500.
    ///
    /// # Cancel safety
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_with(self, accept: Accept) -> impl Future<Output = Result<Connection>> + Send {
        let (runtime, span) = (self.0.runtime.clone(), self.0.span.clone());
        SeeThrough::new(runtime, self.answer_with(accept).instrument(span))
    }

    /// Accepts, if allowed. Run it in its own task: it does not continue when dropped.
    pub(crate) async fn answer_with(mut self, accept: Accept) -> Result<Connection> {
        let config = &self.0.hub.options.config;
        // The program's choice takes precedence over the configuration. Frames are handed out as
        // they come, so compression is not possible then.
        let accept = match config.assemble_fragments {
            true => accept.compression_by_default(config.negotiable_compression()),
            false => accept.compression(None),
        };
        let accept = match self.is_known_secure() {
            true => accept.over_tls(true),
            false => accept,
        };
        let (response, agreed) = match self.0.offer.accept(&accept, &self.0.hub.options.origins) {
            Ok(accepted) => accepted,
            Err(error) => {
                let rejection = error.rejection();
                let kind = if rejection.status() == StatusCode::FORBIDDEN {
                    ErrorKind::OriginRefused
                } else {
                    ErrorKind::InvalidHandshakeOption
                };
                let error = Error::new(kind, error.to_string()).with_source(error);
                self.refuse(rejection).await?;
                return Err(error);
            }
        };
        let info = self.info(agreed);
        let status = response.status();
        record_answer(&self.0.span, status, info.protocol.as_deref());
        self.0.hub.tally.accept();
        self.0.hub.event(|| ServerEvent::Accepted(Arc::new(info.clone())));
        let hub = self.0.hub.clone();
        let admission = self.0.admission.take();
        let Some(answer) = self.take_answer() else { return Err(answered()) };
        let accepted = answer.accept(&hub, response).await.map_err(gone)?;
        self.measure(status);
        let Accepted { stream, early, on_its_way } = accepted;
        let observer = Account::observer(&hub);
        let established = Established { stream, early, info, response: None };
        let mut connection =
            Connection::establish(established, &hub.options.config, Some(observer));
        if let Some(throttling) = &hub.options.throttling {
            connection.throttle(Throttle::new(throttling));
        }
        if let Some(counted) = admission {
            counted.keep();
        }
        hub.connections.add(connection.shared());
        drop(on_its_way);
        hub.event(|| ServerEvent::Connected(connection.shared().info.clone()));
        Ok(connection)
    }

    /// Accepts for `auto_accept`, with the first subprotocol. The origin policy applies.
    pub(crate) async fn answer_unasked(self) -> Result<Connection> {
        let mut accept = Accept::new();
        if let Some(protocol) = self.protocols().first() {
            accept = accept.protocol(protocol.as_str());
        }
        let span = self.0.span.clone();
        self.answer_with(accept).instrument(span).await
    }

    /// Rejects with this status and a reason for the client's developer, which is sent in the
    /// header `X-WebSocket-Reject-Reason` and the body. 403 is a good choice if no other status
    /// fits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RequestGone`] if the client is gone, or has not taken the response within the
    /// [`handshake_timeout`](crate::ServerBuilder::handshake_timeout).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the client gets one whole response. If this future is dropped after it was
    /// polled, it continues in the background. If it was never polled, the request is dropped, and
    /// so answered with 500.
    pub async fn reject(self, status: StatusCode, reason: impl Into<String>) -> Result<()> {
        self.reject_with(Rejection::new(status, reason.into())).await
    }

    /// Rejects with a status, a reason and headers. [`Rejection::default`] is a 403, the default of
    /// WebSocket-Node.
    ///
    /// # Errors
    ///
    /// As [`reject`](Self::reject). [`ErrorKind::InvalidHandshakeOption`] for an invalid header;
    /// the request has been answered without it.
    ///
    /// # Cancel safety
    ///
    /// As [`reject`](Self::reject).
    pub async fn reject_with(mut self, rejection: Rejection) -> Result<()> {
        let runtime = self.0.runtime.clone();
        SeeThrough::new(runtime, async move { self.refuse(rejection).await }).await
    }

    async fn refuse(&mut self, rejection: Rejection) -> Result<()> {
        let Some(answer) = self.take_answer() else { return Err(answered()) };
        let (mechanism, peer) = (self.0.offer.mechanism(), self.0.peer_addr);
        record_answer(&self.0.span, rejection.status(), None);
        self.measure(rejection.status());
        let left_out = rejection.header_error().map(|error| {
            Error::new(ErrorKind::InvalidHandshakeOption, error.to_string())
                .with_source(error.clone())
        });
        answer.reject(&self.0.hub, rejection.into(), mechanism, peer).await.map_err(gone)?;
        left_out.map_or(Ok(()), Err)
    }

    /// Resolves once an HTTP library has dropped the future of the response: its client is gone. For
    /// the request of a stream, never resolves.
    pub(crate) async fn gone(&mut self) {
        let answer = self.0.answer.get_mut().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Some(Answer::Upgrade { respond, .. }) => respond.closed().await,
            _ => std::future::pending().await,
        }
    }

    /// Reports how long the request has waited for its answer.
    fn measure(&self, status: StatusCode) {
        let Parts { hub, offer, since, .. } = &*self.0;
        hub.measured.note(|| Measurement::Handshake {
            status,
            mechanism: offer.mechanism(),
            is_secure: self.is_secure(),
            duration: since.elapsed(),
        });
    }

    fn take_answer(&mut self) -> Option<Answer> {
        self.0.answer.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn info(&mut self, agreed: Agreed) -> Info {
        let mut data = mem::take(self.0.http.extensions_mut());
        // Only the handshake needs it.
        data.remove::<Protocol>();
        data.remove::<Arc<TlsInfo>>();
        Info {
            id: next_id(),
            role: Role::Server,
            protocol: agreed.protocol.map(|protocol| protocol.as_str().into()),
            compression: agreed.compression,
            version: agreed.version,
            remote_address: self.0.remote_address,
            peer_addr: self.0.peer_addr,
            tls: self.0.tls.clone(),
            http_version: Some(self.0.http.version()),
            request: Requested::new(self.resource(), data),
        }
    }
}

fn gone(error: io::Error) -> Error {
    Error::new(ErrorKind::RequestGone, format!("the response can't be sent to the client: {error}"))
        .with_source(error)
}

fn answered() -> Error {
    Error::new(ErrorKind::RequestGone, "the request has been answered already")
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(answer) = self.take_answer() else { return };
        if answer.is_unwanted() {
            return;
        }
        let status = unanswered().status();
        record_answer(&self.0.span, status, None);
        self.measure(status);
        let hub = self.0.hub.clone();
        let (mechanism, peer) = (self.0.offer.mechanism(), self.0.peer_addr);
        self.0.runtime.spawn(async move {
            let _ = answer.reject(&hub, unanswered().into(), mechanism, peer).await;
        });
    }
}
