//! Towline: `recv` and `send`; in halves, with a sender for each connection that is a clone; or
//! with messages that are borrowed from where they were received.

use anyhow::Result;
use towline::{Config, Connection, Server};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Split,
    Borrowed,
}

fn main() -> Result<()> {
    let options = listening::parse(&["plain", "split", "borrowed"])?;
    let mode = match options.mode.as_str() {
        "split" => Mode::Split,
        "borrowed" => Mode::Borrowed,
        _ => Mode::Plain,
    };
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
                    match mode {
                        Mode::Plain => echo(connection).await,
                        Mode::Split => echo_in_halves(connection).await,
                        Mode::Borrowed => echo_borrowed(connection).await,
                    }
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

async fn echo_borrowed(connection: Connection) -> towline::Result<()> {
    let (sender, mut receiver) = connection.split();
    while let Some(message) = receiver.recv_ref().await? {
        sender.send_ref(message).await?;
    }
    Ok(())
}
