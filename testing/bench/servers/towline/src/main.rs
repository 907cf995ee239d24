//! Towline: `recv` and `send`; in halves, with a sender for each connection that is a clone; or
//! with messages that are borrowed from where they were received. And for one connection's effects
//! on others, as `fair` has it.

mod fair;

use anyhow::Result;
use tokio::net::TcpListener;
use towline::{Compression, Config, Deflate, Server};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Split,
    Borrowed,
}

fn main() -> Result<()> {
    let options = listening::parse(&["plain", "split", "borrowed", fair::MODE])?;
    if options.mode == fair::MODE {
        return fair::run(&options);
    }
    let mode = match options.mode.as_str() {
        "split" => Mode::Split,
        "borrowed" => Mode::Borrowed,
        _ => Mode::Plain,
    };
    // The level is the others'.
    let deflate = Deflate::server()
        .level(6)
        .threshold(0)
        .send_context_takeover(options.takeover)
        .receive_context_takeover(options.takeover);
    let compression = options.compress.then(|| Compression::from(deflate));
    listening::run_on(&options, move |listener| serve(listener, mode, compression))
}

async fn serve(listener: TcpListener, mode: Mode, compression: Option<Compression>) -> Result<()> {
    // Keepalive and all else is as by default.
    let config = Config::server()
        .max_received_frame_size(Options::LARGEST)
        .max_received_message_size(Options::LARGEST)
        .fragment_outgoing_messages(false)
        .compression(compression);
    let mut server = Server::builder().config(config).listen(listener);
    while let Some(request) = server.next_request().await {
        match mode {
            Mode::Plain => tokio::spawn(async move {
                let mut connection = request.accept().await?;
                while let Some(message) = connection.recv().await? {
                    connection.send(message).await?;
                }
                towline::Result::Ok(())
            }),
            Mode::Split => tokio::spawn(async move {
                let (first, mut receiver) = request.accept().await?.split();
                let sender = first.clone();
                while let Some(message) = receiver.recv().await? {
                    sender.send(message).await?;
                }
                towline::Result::Ok(())
            }),
            Mode::Borrowed => tokio::spawn(async move {
                let (sender, mut receiver) = request.accept().await?.split();
                while let Some(message) = receiver.recv_ref().await? {
                    sender.send(message).await?;
                }
                towline::Result::Ok(())
            }),
        };
    }
    Ok(())
}
