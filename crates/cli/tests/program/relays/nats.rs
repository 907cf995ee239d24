//! By nats-server.

use std::process::Command;

use crate::relays::topics_of_two_servers_are_one;

fn start(port: &str) -> Command {
    let mut command = Command::new("nats-server");
    command.args(["--addr", "127.0.0.1", "--port", port]);
    command
}

#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn two_servers() {
    topics_of_two_servers_are_one("nats", start).await;
}
