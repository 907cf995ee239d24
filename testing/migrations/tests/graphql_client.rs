//! The GraphQL client does the same in both libraries, with the server in either.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use serde_json::json;
use towline_migrations::graphql_client::Item;
use towline_migrations::{graphql, graphql_client, json_rpc};

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this never happens")
}

macro_rules! client {
    ($name:ident, $client:ident, $server:ident) => {
        #[tokio::test]
        async fn $name() {
            use graphql_client::$client::{GraphQlClient, Operation};

            async fn numbers(operation: &mut Operation, expected: std::ops::RangeInclusive<u64>) {
                for number in expected {
                    assert_eq!(soon(operation.next()).await.unwrap(), Item::Next(json!(number)));
                }
            }

            let address = graphql::$server::serve(Duration::from_secs(100)).await.unwrap();
            let url = format!("ws://{address}/graphql");
            let client = soon(GraphQlClient::connect(&url, "secret")).await.unwrap();
            soon(client.ping()).await.unwrap();
            // Many operations at once, of many tasks.
            let operations = (0..20).map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut operation = client.subscribe("count 200").await.unwrap();
                    numbers(&mut operation, 1..=200).await;
                    assert_eq!(soon(operation.next()).await.unwrap(), Item::Complete);
                })
            });
            for operation in operations.collect::<Vec<_>>() {
                soon(operation).await.unwrap();
            }
            let mut nonsense = soon(client.subscribe("nonsense")).await.unwrap();
            let errors = json!([{ "message": "no such query" }]);
            assert_eq!(soon(nonsense.next()).await.unwrap(), Item::Errors(errors));
            // The server pings, and waits for the pong.
            let mut ping = soon(client.subscribe("ping")).await.unwrap();
            numbers(&mut ping, 1..=1).await;
            assert_eq!(soon(ping.next()).await.unwrap(), Item::Complete);
            // An operation that the client completes does not get in the way of the next.
            let mut forever = soon(client.subscribe("forever")).await.unwrap();
            numbers(&mut forever, 1..=1000).await;
            soon(forever.complete()).await.unwrap();
            let mut after = soon(client.subscribe("count 1000")).await.unwrap();
            numbers(&mut after, 1..=1000).await;
            assert_eq!(soon(after.next()).await.unwrap(), Item::Complete);
            // All operations learn why the server has closed the connection.
            let mut forever = soon(client.subscribe("forever")).await.unwrap();
            let mut expire = soon(client.subscribe("expire")).await.unwrap();
            let why = soon(expire.next()).await.unwrap_err().to_string();
            assert!(why.contains("4403") && why.contains("Token expired"), "{why}");
            let why = soon(async {
                loop {
                    match forever.next().await {
                        Ok(item) => assert!(matches!(item, Item::Next(_)), "{item:?}"),
                        Err(why) => break why.to_string(),
                    }
                }
            });
            let why = why.await;
            assert!(why.contains("4403") && why.contains("Token expired"), "{why}");
            assert!(soon(client.ping()).await.is_err());
            assert!(soon(client.subscribe("count 1")).await.is_err());

            let client = soon(GraphQlClient::connect(&url, "secret")).await.unwrap();
            let mut forever = soon(client.subscribe("forever")).await.unwrap();
            numbers(&mut forever, 1..=10).await;
            soon(client.close()).await.unwrap();
            soon(async { while forever.next().await.is_ok() {} }).await;

            let refused = soon(GraphQlClient::connect(&url, "wrong")).await.err().unwrap();
            let why = refused.to_string();
            assert!(why.contains("4403") && why.contains("Forbidden"), "{why}");
            // This server has no subprotocol.
            let url = format!("ws://{}/", json_rpc::server().await.unwrap());
            assert!(soon(GraphQlClient::connect(&url, "secret")).await.is_err());
        }
    };
}

client!(tungstenite_to_tungstenite, tungstenite, tungstenite);
client!(tungstenite_to_towline, tungstenite, towline);
client!(towline_to_tungstenite, towline, tungstenite);
client!(towline_to_towline, towline, towline);
