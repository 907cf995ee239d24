//! Towline: `recv` and `send`; in halves with a cloned sender; or with borrowed messages. `fair` has the
//! server for measuring the effect of one connection on others, and `fanout` those that fan out.

mod fair;

mod fanout;

use anyhow::Result;
use tokio::net::TcpListener;
use towline::{Compression, Config, Deflate, Server, TlsServer};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;
use towline_bench_serving::securing::{CHAIN, KEY};

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Split,
    Borrowed,
}

fn main() -> Result<()> {
    let options = listening::parse(&["plain", "split", "borrowed", fair::MODE, fanout::ALL])?;
    if options.fanout {
        return fanout::run(&options);
    }
    if options.mode == fair::MODE {
        return fair::run(&options);
    }
    let mode = match options.mode.as_str() {
        "split" => Mode::Split,
        "borrowed" => Mode::Borrowed,
        _ => Mode::Plain,
    };
    let compression = compression(&options);
    let tls = options.tls.as_ref();
    let tls = tls
        .map(|directory| TlsServer::from_pem_files(directory.join(CHAIN), directory.join(KEY)))
        .transpose()?;
    listening::run_on(&options, move |listener| serve(listener, mode, compression, tls.clone()))
}

/// Compression at the level of all libraries.
fn compression(options: &Options) -> Option<Compression> {
    let deflate = Deflate::server()
        .level(6)
        .threshold(0)
        .send_context_takeover(options.takeover)
        .receive_context_takeover(options.takeover);
    options.compress.then(|| Compression::from(deflate))
}

async fn serve(
    listener: TcpListener,
    mode: Mode,
    compression: Option<Compression>,
    tls: Option<TlsServer>,
) -> Result<()> {
    // Keepalive and everything else is at its default.
    let config = Config::server()
        .max_received_frame_size(Options::LARGEST)
        .max_received_message_size(Options::LARGEST)
        .fragment_outgoing_messages(false)
        .compression(compression);
    let mut builder = Server::builder().config(config);
    if let Some(tls) = tls {
        builder = builder.tls(tls);
    }
    let mut server = builder.listen(listener);
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
