//! Many WebSockets on one connection.

use std::time::Duration;

use towline::{CloseCode, Config, Message};

use crate::server::{FLOOD, Hub};
use crate::support::{client, echoes, soon};

#[tokio::test]
async fn a_thousand_websockets_share_one_connection() {
    let hub = Hub::new(1000).await;
    let client = client();
    // All at once: one makes the connection, and the others wait for it.
    let connecting: Vec<_> = (0..1000).map(|_| tokio::spawn(client.connect(&hub.url))).collect();
    let mut connections = Vec::new();
    for connecting in connecting {
        connections.push(soon(connecting).await.unwrap().unwrap());
    }
    assert_eq!(hub.connections(), (1, 1));
    for (number, connection) in connections.iter_mut().enumerate() {
        echoes(connection, &number.to_string()).await;
    }
    // Longer than all windows.
    let long = Message::binary(vec![7; 300_000]);
    for connection in connections.iter_mut().take(5) {
        connection.send(long.clone()).await.unwrap();
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(long.clone()));
    }
    for mut connection in connections.drain(..990) {
        assert!(soon(connection.close(CloseCode::NORMAL, "")).await.unwrap().is_clean());
    }
    echoes(&mut connections[0], "still here").await;
    drop(connections);
    soon(hub.is_empty()).await;
    assert_eq!(hub.connections(), (1, 0));
}

#[tokio::test]
async fn a_full_connection_has_another_beside_it() {
    let hub = Hub::new(2).await;
    let client = client();
    let mut connections = Vec::new();
    for number in 0..5 {
        connections.push(soon(client.connect(&hub.url)).await.unwrap());
        assert_eq!(hub.connections().0, number / 2 + 1);
    }
    for connection in &mut connections {
        echoes(connection, "ahoy").await;
    }
    // A place that is given back is taken again.
    let mut gone = connections.remove(1);
    soon(gone.close(CloseCode::NORMAL, "")).await.unwrap();
    drop(gone);
    connections.push(soon(client.connect(&hub.url)).await.unwrap());
    connections.push(soon(client.connect(&hub.url)).await.unwrap());
    assert_eq!(hub.connections(), (3, 3));
}

#[tokio::test]
async fn clones_share_and_clients_with_other_settings_do_not() {
    let hub = Hub::new(100).await;
    let client = client();
    let _one = soon(client.connect(&hub.url)).await.unwrap();
    let _two = soon(client.clone().connect(format!("{}/b", hub.url))).await.unwrap();
    assert_eq!(hub.connections().0, 1);
    let other = client.clone().protocols(["chat"]);
    let _three = soon(other.connect(&hub.url)).await.unwrap();
    assert_eq!(hub.connections().0, 2);
    let _four = soon(client.connect(&hub.url)).await.unwrap();
    let _five = soon(other.connect(&hub.url)).await.unwrap();
    assert_eq!(hub.connections().0, 2);
}

#[tokio::test]
async fn nothing_is_left_when_all_have_ended() {
    let hub = Hub::new(100).await;
    let client = client();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for round in 1..4 {
        let mut connections = Vec::new();
        for _ in 0..10 {
            connections.push(soon(client.connect(&hub.url)).await.unwrap());
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            match number % 3 {
                0 => drop(soon(connection.close(CloseCode::NORMAL, "")).await.unwrap()),
                1 => connection.abort(CloseCode::NORMAL, ""),
                _ => {}
            }
        }
        drop(connections);
        soon(hub.is_empty()).await;
        assert_eq!(hub.connections(), (round, 0));
        soon(async {
            // One more is the timekeeper, which waits for its next deadline.
            while tasks() > before + 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

/// Together the windows of the slow ones are more than 16 MiB.
#[tokio::test]
async fn however_many_do_not_read_the_others_move() {
    let hub = Hub::new(100).await;
    let client = client().config(Config::client().keepalive(None)).http2_stream_window(4 << 20);
    let mut lively = soon(client.connect(&hub.url)).await.unwrap();
    let mut slow = Vec::new();
    for _ in 0..6 {
        slow.push(soon(client.connect(format!("{}/torrent", hub.url))).await.unwrap());
    }
    let long = Message::binary(vec![7; 100_000]);
    for round in 0..200 {
        echoes(&mut lively, &round.to_string()).await;
        lively.send(long.clone()).await.unwrap();
        assert_eq!(soon(lively.recv()).await.unwrap(), Some(long.clone()));
    }
    assert_eq!(hub.connections(), (1, 1));
}

#[tokio::test]
async fn slow_readers_do_not_end_or_hold_up_their_neighbours() {
    let hub = Hub::new(100).await;
    let config = Config::client().keepalive(None);
    let client = client().config(config);
    let flood = format!("{}/flood", hub.url);
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(soon(client.connect(&flood)).await.unwrap());
    }
    let mut lively = soon(client.connect(&hub.url)).await.unwrap();
    let long = Message::binary(vec![7; 100_000]);
    for round in 0..200 {
        echoes(&mut lively, &round.to_string()).await;
        if round % 20 == 0 {
            lively.send(long.clone()).await.unwrap();
            assert_eq!(soon(lively.recv()).await.unwrap(), Some(long.clone()));
        }
    }
    assert_eq!(hub.connections(), (1, 1));
    for mut slow in slow {
        for number in 0..FLOOD {
            let message = soon(slow.recv()).await.unwrap().unwrap();
            assert_eq!(message.as_bytes(), &number.to_le_bytes()[..1]);
        }
        assert_eq!(soon(slow.recv()).await.unwrap(), None);
    }
}
