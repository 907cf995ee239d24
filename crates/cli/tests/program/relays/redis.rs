//! By redis-server.

use std::process::Command;

use crate::relays::topics_of_two_servers_are_one;

fn start(port: &str) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"]);
    command
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test --only relays"]
async fn two_servers() {
    topics_of_two_servers_are_one("redis", start).await;
}
