//! Fan-out: by topics, or to all connections by `broadcast`.

use anyhow::Result;
use tokio::net::TcpListener;
use towline::{Config, Request, Server, ServerHandle};
use towline_bench_serving::fanout::{JOINED, Role};
use towline_bench_serving::listening;
use towline_bench_serving::options::Options;

/// Every message goes to all connections, whatever their topics.
pub(crate) const ALL: &str = "broadcast";

pub(crate) fn run(options: &Options) -> Result<()> {
    // Everything but compression is at its default.
    let config = Config::server().compression(crate::compression(options));
    let (to_all, verbose) = (options.mode == ALL, options.verbose);
    listening::run_on(options, move |listener| serve(listener, config.clone(), to_all, verbose))
}

async fn serve(listener: TcpListener, config: Config, to_all: bool, verbose: bool) -> Result<()> {
    let mut server = Server::builder().config(config).listen(listener);
    let handle = server.handle();
    while let Some(request) = server.next_request().await {
        let attended = attend(request, handle.clone(), to_all);
        tokio::spawn(async move {
            if let Err(error) = attended.await
                && verbose
            {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

async fn attend(request: Request, server: ServerHandle, to_all: bool) -> Result<()> {
    let role = Role::of(request.path())?;
    let mut connection = request.accept().await?;
    match role {
        Role::Member(topic) => {
            if !to_all {
                server.topics().topic(topic)?.join(&connection).await?;
            }
            connection.send(JOINED).await?;
            while connection.recv().await?.is_some() {}
        }
        Role::Publisher(_) if to_all => {
            let connections = server.connections();
            while let Some(message) = connection.recv().await? {
                connections.broadcast(message).await;
            }
        }
        Role::Publisher(topic) => {
            let topic = server.topics().topic(topic)?;
            while let Some(message) = connection.recv().await? {
                topic.publish(message).await;
            }
        }
    }
    Ok(())
}
