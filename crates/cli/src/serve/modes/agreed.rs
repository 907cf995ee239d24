//! The subprotocol of a connection (`--protocol`).

use towline::{Accept, Connection, Request, Result, Subprotocol};

/// Accepts with the first of these subprotocols that the client offers. `any` stands for the client's
/// first.
pub(crate) async fn accept(request: Request, spoken: &[String]) -> Result<Connection> {
    let accept = match spoken {
        [any] if any == "any" => {
            Accept::new().protocols(request.protocols().first().map(Subprotocol::as_str))
        }
        names => Accept::new().protocols(names),
    };
    request.accept_with(accept).await
}
