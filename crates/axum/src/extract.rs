//! From the parts of an HTTP request to the extractor.

use std::mem;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::Request;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use towline::{Mechanism, ServerHandle};
use towline_hyper::is_handshake;

use crate::default_server::default_server;
use crate::from_axum::{peer_addr, restore};
use crate::rejection::UpgradeRejection;
use crate::upgrade::Upgrade;

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = UpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, UpgradeRejection> {
        take(parts)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Upgrade {
    type Rejection = UpgradeRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, UpgradeRejection> {
        if asks_for_a_websocket(parts) { take(parts).map(Some) } else { Ok(None) }
    }
}

/// Takes the request and its stream. Other extractors still find all else.
fn take(parts: &mut Parts) -> Result<Upgrade, UpgradeRejection> {
    let mut request = Request::from_parts(parts.clone(), ());
    let is_upgradable = parts.extensions.remove::<OnUpgrade>().is_some();
    let server = request.extensions_mut().remove::<ServerHandle>().unwrap_or_else(default_server);
    let (peer, mechanism) = (peer_addr(&request), Mechanism::of(&request));
    let asks = is_handshake(&request);
    restore(&mut request);
    match towline_hyper::request(&server, request, peer) {
        Ok((request, responding)) if is_upgradable => Ok(Upgrade::new(request, responding)),
        Ok((request, responding)) => {
            // In this order, so that the request is not answered.
            drop(responding);
            drop(request);
            Err(UpgradeRejection::not_upgradable(mechanism))
        }
        Err(rejection) => Err(UpgradeRejection::new(rejection, mechanism, asks)),
    }
}

fn asks_for_a_websocket(parts: &mut Parts) -> bool {
    let (empty, ()) = Request::new(()).into_parts();
    let request = Request::from_parts(mem::replace(parts, empty), ());
    let asks = is_handshake(&request);
    *parts = request.into_parts().0;
    asks
}
