//! Each program does the same in both libraries.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use serde_json::json;
use towline_migrations::{exec, feed, gateway, json_rpc, mqtt};

/// Whatever happens, within a time in which it must.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this never happens")
}

macro_rules! json_rpc {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let url = format!("ws://{}/", json_rpc::server().await.unwrap());
            let client = soon(json_rpc::$program::RpcClient::connect(&url)).await.unwrap();
            // Its answer comes after that of the other.
            let late = tokio::spawn({
                let client = client.clone();
                async move { client.call("late", json!([])).await.unwrap() }
            });
            let mut items = soon(client.subscribe("numbers")).await.unwrap();
            let calls = (0..50u64).map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    let sum = client.call("sum", json!([number, 1])).await.unwrap();
                    assert_eq!(sum, number + 1);
                })
            });
            for call in calls.collect::<Vec<_>>() {
                soon(call).await.unwrap();
            }
            assert!(soon(late).await.unwrap().is_null());
            for number in 0..10 {
                assert_eq!(soon(items.recv()).await.unwrap(), number);
            }
        }
    };
}

json_rpc!(json_rpc_in_tungstenite, tungstenite);
json_rpc!(json_rpc_in_towline, towline);

macro_rules! exec {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let address = exec::server().await.unwrap();
            let input = ["ship ", "ahoy\n", "exit\n"];
            let output = soon(exec::$program::exec(address, "secret", &input)).await.unwrap();
            assert_eq!(output.stdout, b"SHIP AHOY\n");
            assert_eq!(output.stderr, b"ready\n");
            assert_eq!(output.status, br#"{"status":"Success"}"#);
            let refused = soon(exec::$program::exec(address, "wrong", &input)).await.unwrap_err();
            assert!(refused.to_string().contains("401"), "{refused}");
        }
    };
}

exec!(exec_in_tungstenite, tungstenite);
exec!(exec_in_towline, towline);

macro_rules! gateway {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let url = format!("ws://{}/", gateway::server().await.unwrap());
            let events = soon(gateway::$program::run(&url, "secret")).await.unwrap();
            let expected = ["1 READY", "2 MESSAGE", "3 RESUMED", "4 MESSAGE", "5 RESUMED", "6 BYE"];
            assert_eq!(events, expected);
            let url = format!("ws://{}/", gateway::server().await.unwrap());
            let refused = soon(gateway::$program::run(&url, "wrong")).await.unwrap_err();
            assert!(refused.to_string().contains("authentication failed"), "{refused}");
        }
    };
}

gateway!(gateway_in_tungstenite, tungstenite);
gateway!(gateway_in_towline, towline);

macro_rules! mqtt {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let url = format!("ws://{}/mqtt", mqtt::server().await.unwrap());
            let payloads = [b"ship".to_vec(), Vec::new(), vec![7; 5000], vec![9; 300_000]];
            let received = soon(mqtt::$program::publish(&url, &payloads)).await.unwrap();
            assert!(received == payloads);
        }
    };
}

mqtt!(mqtt_in_tungstenite, tungstenite);
mqtt!(mqtt_in_towline, towline);

macro_rules! feed {
    ($name:ident, $program:ident) => {
        #[tokio::test]
        async fn $name() {
            let url = format!("ws://{}/", feed::server().await.unwrap());
            let items = soon(feed::$program::receive(&url, "secret")).await.unwrap();
            assert_eq!(items, (1..=9).collect::<Vec<_>>());
            let refused = soon(feed::$program::receive(&url, "wrong")).await.unwrap_err();
            assert!(refused.to_string().contains("401"), "{refused}");
        }
    };
}

feed!(feed_in_tungstenite, tungstenite);
feed!(feed_in_towline, towline);
