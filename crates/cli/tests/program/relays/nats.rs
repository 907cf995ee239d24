//! By nats-server.

use towline_kit::brokers;

use crate::relays::topics_of_two_servers_are_one;

#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn two_servers() {
    topics_of_two_servers_are_one("nats", brokers::nats).await;
}
