//! The subprotocol of a connection (`--protocol`).

use towline::{Accept, Connection, Request, Result};

/// Accepts with the first of these subprotocols that the client offers. `any` stands for the client's
/// first.
pub(crate) async fn accept(request: Request, spoken: &[String]) -> Result<Connection> {
    let protocol = match spoken {
        [any] if any == "any" => request.protocols().first(),
        names => request.choose_protocol(names),
    };
    let accept = match protocol {
        Some(protocol) => Accept::new().protocol(protocol.as_str()),
        None => Accept::new(),
    };
    request.accept_with(accept).await
}
