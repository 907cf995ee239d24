//! A connection, from its request to the end of its token.

use std::pin::pin;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use towline::http::{StatusCode, header};
use towline::{Accept, CloseCode, Connection, Rejection, Request, Result};

use crate::tokens::{Claims, Tokens};

/// The subprotocol of the messages.
const CHAT: &str = "chat.v1";

/// "Unauthorized", in IANA's registry of close codes.
const UNAUTHORIZED: CloseCode = CloseCode::new(3000);

pub(crate) async fn run(request: Request, tokens: &Tokens) -> Result<()> {
    let Some(token) = token_of(&request) else {
        let reason = "a token is needed, in Authorization or in the subprotocol bearer.TOKEN";
        // RFC 6750, section 3.1: no error code for a request without a token.
        return reject(request, reason, "Bearer realm=\"chat\"").await;
    };
    match tokens.check(token) {
        Ok(claims) => talk(request, claims, tokens).await,
        Err(reason) => {
            reject(request, reason, "Bearer realm=\"chat\", error=\"invalid_token\"").await
        }
    }
}

/// Refuses the request. A browser shows a page none of this, but the reason is in the developer tools.
async fn reject(request: Request, reason: &'static str, challenge: &str) -> Result<()> {
    let rejection = Rejection::new(StatusCode::UNAUTHORIZED, reason);
    request.reject_with(rejection.header(header::WWW_AUTHENTICATE, challenge)).await
}

fn token_of(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = header.and_then(|value| value.split_once(' '));
    let in_header = in_header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let mut protocols = request.protocols().iter();
    // The characters of a JWT are allowed in the name of a subprotocol.
    let in_protocol = || protocols.find_map(|name| name.as_str().strip_prefix("bearer."));
    in_header.map(|(_, token)| token.trim()).or_else(in_protocol)
}

async fn talk(request: Request, claims: Claims, tokens: &Tokens) -> Result<()> {
    // Never the one with the token: it would be in the response. A browser needs one of those that it
    // has offered, so pages offer this one too.
    let connection = request.accept_with(Accept::new().protocols([CHAT])).await?;
    let sender = connection.sender();
    let (renew, expiry) = watch::channel(Instant::now() + claims.time_left());
    let conversation = pin!(converse(connection, &claims.sub, tokens, renew));
    tokio::select! {
        // The expiry first: no message is answered after it.
        biased;
        // The conversation can't watch for it: while a client reads nothing, it waits in `send`.
        () = expired(expiry) => {
            println!("a token of {} has expired", claims.sub);
            // It fails if the connection is closing already. The close completes after the return.
            let _ = sender.start_close(UNAUTHORIZED, "the token has expired");
            Ok(())
        }
        ended = conversation => ended,
    }
}

/// Waits until the newest token expires.
async fn expired(mut expiry: watch::Receiver<Instant>) {
    loop {
        let at = *expiry.borrow_and_update();
        tokio::select! {
            biased;
            Ok(()) = expiry.changed() => {}
            () = sleep_until(at) => return,
        }
    }
}

async fn converse(
    mut connection: Connection,
    user: &str,
    tokens: &Tokens,
    renew: watch::Sender<Instant>,
) -> Result<()> {
    while let Some(message) = connection.recv().await? {
        let text = message.as_text().unwrap_or_default();
        let Some(token) = text.strip_prefix("token ") else {
            connection.send(format!("{user}: {text}")).await?;
            continue;
        };
        // A fresh token for the same user: the connection may stay.
        match tokens.check(token) {
            Ok(fresh) if fresh.sub == user => {
                renew.send_replace(Instant::now() + fresh.time_left());
                connection.send("renewed").await?;
            }
            Ok(_) => drop(connection.close(UNAUTHORIZED, "that is another user's token").await?),
            Err(reason) => drop(connection.close(UNAUTHORIZED, reason).await?),
        }
    }
    Ok(())
}
