//! The client in Towline.

use anyhow::Result;
use tokio::time::sleep;
use towline::http::{Request, StatusCode};
use towline::{Client, CloseCode, Connection, Error};

use crate::feed::{
    FIRST_WAIT, LAST, LONGEST_WAIT, NONCE, SIGNATURE, nonce, number, sign, subscription,
};

/// Receives all items, on as many connections as it takes.
///
/// # Errors
///
/// If the exchange refuses the key.
pub async fn receive(url: &str, key: &str) -> Result<Vec<u64>> {
    let client = Client::new();
    let mut items = Vec::new();
    let mut wait = FIRST_WAIT;
    loop {
        match connect(&client, url, key).await {
            Ok(connection) => {
                wait = FIRST_WAIT;
                if follow(connection, &mut items).await? {
                    return Ok(items);
                }
            }
            Err(error) if is_fatal(&error) => return Err(error.into()),
            Err(_) => wait = (wait * 2).min(LONGEST_WAIT),
        }
        sleep(wait).await;
    }
}

async fn connect(client: &Client, url: &str, key: &str) -> towline::Result<Connection> {
    let nonce = nonce();
    let request = Request::get(url).header(NONCE, nonce).header(SIGNATURE, sign(key, nonce));
    client.connect_request(request.body(())?).await
}

fn is_fatal(error: &Error) -> bool {
    error.response().is_some_and(|response| {
        response.status().is_client_error() && response.status() != StatusCode::TOO_MANY_REQUESTS
    })
}

/// Returns whether the last item has come.
async fn follow(mut connection: Connection, items: &mut Vec<u64>) -> Result<bool> {
    connection.send(subscription(items.last().copied().unwrap_or(0))).await?;
    while let Ok(Some(message)) = connection.recv().await {
        items.push(number(message.as_text().unwrap_or_default())?);
        if items.last() == Some(&LAST) {
            connection.close(CloseCode::NORMAL, "").await?;
            return Ok(true);
        }
    }
    Ok(false)
}
