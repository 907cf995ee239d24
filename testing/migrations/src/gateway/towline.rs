//! The client in Towline.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, interval_at};
use towline::{Client, CloseCode, ErrorKind, Message};

use crate::gateway::{Next, RESUMABLE, Session, heartbeat_interval, is_fatal};

/// Receives the events of a session, on as many connections as it takes.
///
/// # Errors
///
/// If the server refuses the session.
pub async fn run(url: &str, token: &str) -> Result<Vec<String>> {
    let mut session = Session::default();
    while !connect(url, token, &mut session).await? {}
    Ok(session.events)
}

/// Returns whether the session is over.
async fn connect(url: &str, token: &str, session: &mut Session) -> Result<bool> {
    let mut connection = Client::new().connect(url).await?;
    let hello = connection.recv().await?.context("the server says nothing")?;
    let period = Duration::from_millis(heartbeat_interval(hello.as_text().unwrap_or_default())?);
    connection.send(session.opening(token)).await?;
    let mut heartbeat = interval_at(Instant::now() + period, period);
    let mut is_acknowledged = true;
    loop {
        tokio::select! {
            received = connection.recv() => {
                let text = match received {
                    Ok(Some(Message::Text(text))) => text,
                    Ok(Some(Message::Binary(_))) => continue,
                    Ok(None) => return Ok(false),
                    Err(error) => match error.close_code() {
                        Some(code) if is_fatal(code.get()) => return Err(error.into()),
                        None if error.kind() != ErrorKind::ConnectionLost => return Err(error.into()),
                        _ => return Ok(false),
                    },
                };
                match session.handle(&text)? {
                    Next::GoOn => {}
                    Next::Acknowledged => is_acknowledged = true,
                    Next::Done => {
                        connection.close(CloseCode::NORMAL, "").await?;
                        return Ok(true);
                    }
                }
            }
            _ = heartbeat.tick() => {
                if !std::mem::replace(&mut is_acknowledged, false) {
                    connection.close(CloseCode::new(RESUMABLE), "no acknowledgement").await?;
                    return Ok(false);
                }
                connection.send(session.heartbeat()).await?;
            }
        }
    }
}
