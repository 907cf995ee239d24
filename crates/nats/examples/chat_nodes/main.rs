//! A chat with rooms over three nodes, with nginx in front and NATS between them. It needs the programs
//! `nginx` and `nats-server`, and no Docker:
//!
//! ```sh
//! cargo run -p towline-nats --example chat_nodes
//! ```
//!
//! Then, in other terminals, `cargo run -- connect ws://127.0.0.1:8080/harbour --reconnect`. Kill a
//! node: its clients come back on another one.
//!
//! `cargo run -p towline-nats --example chat_nodes demo` does all of that itself, and shows who has
//! missed what.

mod cluster;

mod demo;

mod node;

use std::error::Error;

use crate::cluster::Cluster;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => stay(Cluster::start(Some("127.0.0.1:8080".to_owned())).await?).await,
        ["node", name, broker] => node::run(name, broker).await,
        ["demo"] => demo::run(&mut Cluster::start(None).await?).await,
        [address] => stay(Cluster::start(Some(address.to_owned())).await?).await,
        _ => Err("write nothing, an address such as 127.0.0.1:8080, or demo".into()),
    }
}

async fn stay(cluster: Cluster) -> Result<(), Box<dyn Error>> {
    println!("connect to ws://{}/harbour", cluster.front);
    for node in &cluster.nodes {
        let id = node.child.id().unwrap_or_default();
        println!("{} is process {id}: kill {id}", node.name);
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
