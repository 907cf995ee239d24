//! A client that sends a message, prints the answer and closes: `cargo example client
//! ws://127.0.0.1:9001/`.

use std::env;

use towline::{Client, CloseCode, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let mut connection = Client::new().connect(url).await?;
    connection.send("ship ahoy").await?;
    println!("{:?}", connection.recv().await?);
    // Waits until the peer has closed, too. So the peer has received everything.
    let closed = connection.close(CloseCode::NORMAL, "bye").await?;
    println!("{closed}");
    Ok(())
}
