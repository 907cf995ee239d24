//! A connection, from its request to the end of its token.

use std::pin::pin;

use tokio::time::{Instant, sleep_until};
use towline::http::{StatusCode, header};
use towline::{Accept, CloseCode, Rejection, Request, Result};

use crate::tokens::{Claims, Tokens};

/// The subprotocol of the messages.
const CHAT: &str = "chat.v1";

/// "Unauthorized", in IANA's registry of close codes.
const UNAUTHORIZED: CloseCode = CloseCode::new(3000);

pub(crate) async fn run(request: Request, tokens: &Tokens) -> Result<()> {
    let checked = match token_of(&request) {
        Some(token) => tokens.check(token),
        None => Err("a token is needed, in Authorization or in the subprotocol bearer.TOKEN"),
    };
    match checked {
        Ok(claims) => talk(request, claims, tokens).await,
        Err(reason) => {
            // A browser shows a page none of this, but the reason is in the developer tools.
            let rejection = Rejection::new(StatusCode::UNAUTHORIZED, reason)
                .header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
            request.reject_with(rejection).await
        }
    }
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
    let mut accept = Accept::new();
    if request.choose_protocol([CHAT]).is_some() {
        // Never the one with the token: it would be in the response. A browser needs one of those that
        // it has offered, so pages offer this one too.
        accept = accept.protocol(CHAT);
    }
    let mut connection = request.accept_with(accept).await?;
    let mut expiry = pin!(sleep_until(Instant::now() + claims.time_left()));
    loop {
        // The message is not lost if the token expires at the same time: `recv` is cancel safe.
        let message = tokio::select! {
            message = connection.recv() => message?,
            () = &mut expiry => {
                connection.close(UNAUTHORIZED, "the token has expired").await?;
                return Ok(());
            }
        };
        let Some(message) = message else { return Ok(()) };
        let text = message.as_text().unwrap_or_default();
        let Some(token) = text.strip_prefix("token ") else {
            connection.send(format!("{}: {text}", claims.sub)).await?;
            continue;
        };
        // A fresh token for the same user: the connection may stay.
        match tokens.check(token) {
            Ok(fresh) if fresh.sub == claims.sub => {
                expiry.as_mut().reset(Instant::now() + fresh.time_left());
                connection.send("renewed").await?;
            }
            Ok(_) => drop(connection.close(UNAUTHORIZED, "that is another user's token").await?),
            Err(reason) => drop(connection.close(UNAUTHORIZED, reason).await?),
        }
    }
}
