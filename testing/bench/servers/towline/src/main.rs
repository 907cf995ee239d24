//! Towline: `recv` and `send`; or in halves, with a sender for each connection that is a clone.

use anyhow::Result;
use towline::{Config, Connection, Server};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

fn main() -> Result<()> {
    let options = listening::parse(&["plain", "split"])?;
    let split = options.mode == "split";
    listening::block_on(async move {
        // Keepalive and all else is as by default.
        let config = Config::server()
            .max_received_frame_size(Options::LARGEST)
            .max_received_message_size(Options::LARGEST)
            .fragment_outgoing_messages(false);
        let mut server = Server::builder().config(config).bind(options.listen).await?;
        listening::announce_address(server.local_addr()?)?;
        while let Some(request) = server.next_request().await {
            tokio::spawn(async move {
                let served = async {
                    let connection = request.accept().await?;
                    if split { echo_in_halves(connection).await } else { echo(connection).await }
                };
                if let Err(error) = served.await
                    && options.verbose
                {
                    eprintln!("{error}");
                }
            });
        }
        Ok(())
    })
}

async fn echo(mut connection: Connection) -> towline::Result<()> {
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

async fn echo_in_halves(connection: Connection) -> towline::Result<()> {
    let (first, mut receiver) = connection.split();
    let sender = first.clone();
    while let Some(message) = receiver.recv().await? {
        sender.send(message).await?;
    }
    Ok(())
}
