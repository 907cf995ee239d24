//! The way to a server: redirects, proxies, dialling, TLS.

use std::sync::Arc;

use towline_proto::handshake::{Opening, Target};

use crate::client::Settings;
use crate::client::asked::Asked;
use crate::client::carrier::Plan;
use crate::client::default_tls;
use crate::client::dialling::{Dialler, Unreachable};
use crate::client::progress::Progress;
use crate::client::proxy::{Destination, Hop, Proxy, Scheme};
use crate::client::redirect::{follow, is_redirect, is_same_origin, url};
use crate::client::shown::shown;
use crate::client::upgrade::Reached;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Alpn, AnyStream, Given, HTTP_1, SecureClient, Whose};

impl Plan<'_> {
    /// Returns a stream to the server, with TLS if the URL asks for it.
    pub(crate) async fn reach(self, alpn: Alpn) -> Result<Reached> {
        self.settings.reach(self.opening.target(), self.whose, alpn, self.progress).await
    }

    /// Does the handshake over HTTP/1.1.
    pub(crate) async fn upgrade(self, reached: Reached) -> Result<Connection> {
        self.progress.is("waiting for the server's answer");
        let (proxy, data) = (reached.proxy.clone(), self.asked.data.clone());
        let upgraded = self.settings.upgrade(reached, self.opening, data, self.is_followed).await;
        upgraded.map_err(|error| through(proxy.as_deref(), error))
    }
}

impl Settings {
    /// Connects within the timeout.
    pub(crate) async fn connect_asked(&self, asked: Asked) -> Result<Connection> {
        let opening = asked.open()?;
        let authority = opening.target().authority().to_owned();
        let progress = Progress::default();
        self.in_time(&authority, &progress, self.follow(asked, opening, &progress)).await
    }

    /// Connects on this stream within the timeout, with TLS if `wss` asks for it and it is to be
    /// added.
    pub(crate) async fn connect_on(
        &self,
        given: Given,
        asked: Asked,
        is_bare: bool,
    ) -> Result<Connection> {
        let opening = asked.open()?;
        let target = opening.target();
        let mut reached = Reached { proxy: given.proxy, ..self.reached(given.stream) };
        let progress = Progress::default();
        let plan = Plan {
            settings: self,
            asked: &asked,
            opening: &opening,
            whose: Whose::Named,
            is_followed: false,
            progress: &progress,
        };
        let connecting = async {
            if is_bare && target.is_secure() {
                let alpn = self.carrier.as_ref().map_or(HTTP_1, |carrier| carrier.alpn());
                let (stream, host) = (reached.stream, target.host());
                let secured = self.agree_on_tls(stream, host, Whose::Named, alpn, &progress).await;
                reached.stream =
                    secured.map_err(|error| through(reached.proxy.as_deref(), error))?;
            }
            match &self.carrier {
                Some(carrier) if carrier.carries_on(&reached.stream) => {
                    carrier.connect_on(reached, plan).await
                }
                _ => plan.upgrade(reached).await,
            }
        };
        self.in_time(target.authority(), &progress, connecting).await
    }

    /// Returns the outcome, or an error that names the step that took too long.
    pub(crate) async fn in_time<T>(
        &self,
        authority: &str,
        progress: &Progress,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::time::timeout(self.connect_timeout, future).await.unwrap_or_else(|_| {
            let (timeout, doing) = (self.connect_timeout, progress.words());
            Err(Error::new(
                ErrorKind::HandshakeTimeout,
                format!(
                    "no connection to {authority} within {timeout:?} (connect_timeout): {doing}"
                ),
            ))
        })
    }

    /// Connects and follows redirects.
    async fn follow(
        &self,
        mut asked: Asked,
        mut opening: Opening,
        progress: &Progress,
    ) -> Result<Connection> {
        let mut been = Vec::new();
        let mut preface = String::new();
        let mut whose = Whose::Named;
        loop {
            let error = match self.plan(&asked, &opening, whose, progress).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error.with_preface(&preface),
            };
            let Some(response) = error.response().filter(|response| {
                error.kind() == ErrorKind::HttpResponse
                    && is_redirect(response.status())
                    && self.follow_redirects > 0
            }) else {
                return Err(error);
            };
            let refused = |why: String| {
                let message = format!("{preface}{} {why}", opening.target().authority());
                let error = Error::new(ErrorKind::Redirect, message);
                Err(error.with_response(response.clone()))
            };
            been.push(url(opening.target()));
            let next = follow(&opening, asked.connect, response.headers());
            let next = next.and_then(|next| match next.open() {
                Ok(opening) => Ok((next, opening)),
                Err(error) => Err(format!("redirects to an invalid URL: {error}")),
            });
            let (next, next_opening) = match next {
                Ok(next) => next,
                Err(why) => return refused(why),
            };
            let to = url(next_opening.target());
            if been.contains(&to) {
                return refused(format!("redirects to {}, in a circle", shown(&to)));
            }
            if been.len() > usize::from(self.follow_redirects) {
                let most = self.follow_redirects;
                let to = shown(&to);
                return refused(format!(
                    "redirects to {to}, which would be more than {most} redirects (follow_redirects)"
                ));
            }
            preface = format!("after a redirect to {}: ", shown(&to));
            progress.is_redirected(&shown(&to));
            if !is_same_origin(opening.target(), next_opening.target()) {
                whose = Whose::Others;
            }
            (asked, opening) = (next.with_data(asked.data), next_opening);
        }
    }

    async fn plan(
        &self,
        asked: &Asked,
        opening: &Opening,
        whose: Whose,
        progress: &Progress,
    ) -> Result<Connection> {
        let target = opening.target();
        self.check_tls(target, whose)?;
        let is_followed = self.follow_redirects > 0;
        let plan = Plan { settings: self, asked, opening, whose, is_followed, progress };
        match &self.carrier {
            Some(carrier) if carrier.carries(target) => carrier.connect(plan).await,
            _ => plan.upgrade(plan.reach(HTTP_1).await?).await,
        }
    }

    /// Checks the TLS options for this target, before anything is dialled.
    pub(crate) fn check_tls(&self, target: &Target, whose: Whose) -> Result<()> {
        match target.is_secure() {
            true => self.security()?.check(target.host(), whose),
            false => Ok(()),
        }
    }

    /// Returns a stream to the target, through a proxy or not, with TLS if the URL asks for it.
    pub(crate) async fn reach(
        &self,
        target: &Target,
        whose: Whose,
        alpn: Alpn,
        progress: &Progress,
    ) -> Result<Reached> {
        let Reached { mut stream, peer_addr, proxy } = self.reach_bare(target, progress).await?;
        if target.is_secure() {
            let secured = self.agree_on_tls(stream, target.host(), whose, alpn, progress).await;
            stream = secured.map_err(|error| through(proxy.as_deref(), error))?;
        }
        Ok(Reached { stream, peer_addr, proxy })
    }

    /// The same without TLS.
    async fn reach_bare(&self, target: &Target, progress: &Progress) -> Result<Reached> {
        let dialler = Dialler { resolver: &self.resolver, progress };
        let Some(hop) = self.proxy.hop(target)? else {
            let dialled = dialler.dial(target.host(), target.port()).await;
            let tcp = dialled.map_err(|unreachable| no_way(target, unreachable))?;
            return Ok(self.reached(AnyStream::Tcp(tcp)));
        };
        if hop.scheme.is_socks() {
            return self.reach_by_socks(target, &hop, &dialler).await;
        }
        if hop.scheme == Scheme::Https {
            self.security()?.check(&hop.host, Whose::Others)?;
        }
        let mut reached = self.dial_proxy(&hop, &dialler).await?;
        if hop.scheme == Scheme::Https {
            progress.is(format!("in the TLS handshake with the proxy {hop}"));
            let security = self.security()?;
            let secured = security.secure(reached.stream, &hop.host, Whose::Others, HTTP_1);
            let secured = secured.await;
            reached.stream = secured.map_err(|error| no_tls_with(&hop, error))?.through_proxy();
        }
        progress.is(format!("waiting for the answer of the proxy {hop}"));
        let stream = reached.stream;
        let stream = self.proxy.http_tunnel(stream, &hop, target, &self.head_limits).await?;
        Ok(Reached { stream, ..reached })
    }

    /// Tries each address in turn, on a new stream to the SOCKS proxy each time.
    async fn reach_by_socks(
        &self,
        target: &Target,
        hop: &Hop,
        dialler: &Dialler<'_>,
    ) -> Result<Reached> {
        let (host, port) = (target.host(), target.port());
        let destinations =
            if hop.scheme == Scheme::Socks5 || host.parse::<std::net::IpAddr>().is_ok() {
                let addresses = dialler.addresses(host, port).await;
                let addresses = addresses.map_err(|unreachable| no_way(target, unreachable))?;
                addresses.into_iter().map(Destination::Address).collect()
            } else {
                vec![Destination::Name(host.to_owned(), port)]
            };
        let mut refused: Option<Error> = None;
        for destination in destinations {
            let reached = self.dial_proxy(hop, dialler).await?;
            dialler.progress.is(format!("waiting for the answer of the proxy {hop}"));
            match Proxy::socks_tunnel(reached.stream, hop, &destination).await? {
                Ok(stream) => return Ok(Reached { stream, ..reached }),
                Err(error) => {
                    refused = Some(match refused {
                        Some(before) => error.with_preface(&format!("{before}; ")),
                        None => error,
                    });
                }
            }
        }
        // There is at least one address, so there is an error.
        Err(refused.unwrap_or_else(|| Error::new(ErrorKind::Connect, "there is no address")))
    }

    async fn dial_proxy(&self, hop: &Hop, dialler: &Dialler<'_>) -> Result<Reached> {
        match dialler.dial(&hop.host, hop.port).await {
            Ok(tcp) => {
                Ok(Reached { proxy: Some(hop.to_string()), ..self.reached(AnyStream::Tcp(tcp)) })
            }
            Err(Unreachable { why, source }) => {
                let message = format!("can't connect to the proxy {hop}: {why}");
                Err(Error::new(ErrorKind::ProxyFailed, message).with_source(source))
            }
        }
    }

    fn reached(&self, stream: AnyStream) -> Reached {
        stream.set_nodelay(self.nodelay);
        Reached { peer_addr: stream.peer_addr(), stream, proxy: None }
    }

    async fn agree_on_tls(
        &self,
        stream: AnyStream,
        host: &str,
        whose: Whose,
        alpn: Alpn,
        progress: &Progress,
    ) -> Result<AnyStream> {
        progress.is(format!("in the TLS handshake with {host}"));
        self.security()?.secure(stream, host, whose, alpn).await
    }

    /// How TLS is set up.
    fn security(&self) -> Result<Arc<dyn SecureClient>> {
        self.tls.clone().map_or_else(default_tls::get, Ok)
    }
}

/// Names the proxy, which may have refused the handshake or altered it.
pub(crate) fn through(proxy: Option<&str>, error: Error) -> Error {
    match proxy {
        Some(proxy) if error.kind() != ErrorKind::HttpResponse => {
            error.with_postscript(&format!(" (through the proxy {proxy})"))
        }
        _ => error,
    }
}

fn no_way(target: &Target, Unreachable { why, source }: Unreachable) -> Error {
    let message = format!("can't connect to {}: {why}", target.authority());
    Error::new(ErrorKind::Connect, message).with_source(source)
}

/// Rewords a TLS error so that it is about the proxy, not the server.
fn no_tls_with(hop: &Hop, error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotTls | ErrorKind::Tls | ErrorKind::NoApplicationProtocol => {
            let message = format!("the proxy {hop}: {error}");
            Error::new(ErrorKind::ProxyFailed, message).with_source(error)
        }
        _ => error.with_preface(&format!("the proxy {hop}: ")),
    }
}
