//! A client that reads one message a second: a phone on a bad network, say.

use std::error::Error;
use std::time::Duration;

use tokio::net::TcpSocket;
use towline::Client;

pub(crate) async fn run(url: &str) -> Result<(), Box<dyn Error>> {
    // The kernel of a desktop buffers megabytes for a client that does not read. With little room, it
    // takes seconds and not minutes until the server finds this one slow.
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 << 10)?;
    let uri: towline::http::Uri = url.parse()?;
    let host = uri.authority().ok_or("the URL has no host")?.as_str();
    let stream = socket.connect(host.parse()?).await?;

    let mut connection = Client::new().connect_via(stream, url).await?;
    while let Some(message) = connection.recv().await? {
        println!("{}", message.as_text().unwrap_or("binary"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
