//! The client in Towline.

use anyhow::{Result, ensure};
use towline::Client;

use crate::mqtt::PROTOCOL;

/// Publishes these payloads, and returns what comes back.
///
/// # Errors
///
/// If the broker refuses, or the connection ends.
pub async fn publish(url: &str, payloads: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let connection = Client::new().protocols([PROTOCOL]).connect(url).await?;
    ensure!(connection.protocol() == Some(PROTOCOL), "no broker");
    crate::mqtt::publish(connection.into_byte_stream(), payloads).await
}
