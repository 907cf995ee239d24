//! `towline serve --mode topics --relay`, by real brokers.
//!
//! Each test starts a broker of its own on loopback, and ends it. `cargo xtask test --only relays` runs the
//! tests whose brokers are installed. A module is named after the broker that it needs.

#[cfg(feature = "nats")]
mod nats;

#[cfg(feature = "redis")]
mod redis;

use towline::{Client, Connection};
use towline_kit::brokers::{Server, Start};

use crate::support::{Serve, next};

const PROTOCOL: &str = "towline.topics.v1";

async fn subscribe(server: &Serve) -> Connection {
    let mut member = Client::new().protocols([PROTOCOL]).connect(&server.url()).await.unwrap();
    member.send(r#"{"subscribe":"room/7"}"#).await.unwrap();
    assert_eq!(next(&mut member).await, r#"{"subscribed":"room/7","members":1}"#);
    member
}

/// Publishes by one of the members, and asserts that each of them gets it, and nothing else before.
async fn publish(members: &mut [Connection], by: usize, data: &str) {
    let message = format!(r#"{{"publish":"room/7","data":{data}}}"#);
    members[by].send(message).await.unwrap();
    for member in members {
        assert_eq!(next(member).await, format!(r#"{{"topic":"room/7","data":{data}}}"#));
    }
}

/// Reads what a server says until this is in a line.
fn wait_for_note(server: &mut Serve, words: &str) {
    server.program.wait_for_error(|line| line.contains(words));
}

/// What is published on one server arrives on the other, also after the broker was away.
async fn topics_of_two_servers_are_one(scheme: &str, start: Start) {
    let mut broker = Server::new(start);
    let url = format!("{scheme}://{}", broker.address);
    let arguments = ["--mode=topics", "--relay", &url];
    let mut servers = [Serve::start(&arguments), Serve::start(&arguments)];
    let mut members = [subscribe(&servers[0]).await, subscribe(&servers[1]).await];
    publish(&mut members, 0, "[1.50]").await;
    publish(&mut members, 1, r#"{"n":2}"#).await;

    broker.kill();
    for server in &mut servers {
        wait_for_note(server, "the relay has lost its broker");
    }
    broker.start_again();
    for server in &mut servers {
        wait_for_note(server, "the relay has its broker back");
    }
    publish(&mut members, 0, "3").await;
    publish(&mut members, 1, "4").await;

    drop(members);
    for server in servers {
        server.program.signal("INT");
        let ended = server.program.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.text().contains("2 messages published"), "{ended:?}");
    }
}
