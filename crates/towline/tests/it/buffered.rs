//! The memory that all connections of a server hold together.

use std::num::NonZeroUsize;

use tokio::task::JoinHandle;
use towline::topics::{TopicOptions, Topics};
use towline::{
    Client, CloseCause, CloseCode, Config, Connection, Frame, Rate, Server, ServerHandle, WhenFull,
};

use crate::wire::settle;

const MIB: usize = 1 << 20;
const KIB: usize = 1 << 10;

/// The buffer of a connection whose received bytes wait.
const BUFFER: usize = 128 * KIB;

fn limited(bytes: usize) -> Server {
    let config = Config::server().max_received_frame_size(MIB).send_high_water_mark(MIB);
    Server::builder().config(config).max_buffered_bytes(bytes).build()
}

/// A server's connection and its client, over a pipe that holds little.
async fn pair(server: &mut Server) -> (Connection, Connection) {
    let (near, far) = tokio::io::duplex(4 * KIB);
    server.serve(near, None);
    let connecting = tokio::spawn(Client::new().connect_over(far, "ws://h/"));
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    (connection, connecting.await.unwrap().unwrap())
}

fn held(server: &ServerHandle) -> usize {
    server.stats().buffered_bytes.unwrap()
}

/// Asserts that a connection was closed for it.
fn assert_relieved(connection: &Connection) {
    let closed = connection.closed().expect("it is closed");
    assert_eq!(closed.cause(), CloseCause::Aborted);
    let sent = closed.sent().unwrap();
    assert_eq!(sent.code(), CloseCode::TRY_AGAIN_LATER);
    assert!(sent.reason().contains("max_buffered_bytes"), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn whose_queue_is_longest_is_closed_first() {
    let mut server = limited(MIB);
    let (first, _a) = pair(&mut server).await;
    let (second, _b) = pair(&mut server).await;
    let (third, _c) = pair(&mut server).await;
    for _ in 0..3 {
        second.send(vec![7; 100 * KIB]).await.unwrap();
        third.send(vec![7; 100 * KIB]).await.unwrap();
    }
    first.send(vec![7; 400 * KIB]).await.unwrap();
    settle().await;
    let all = held(&server.handle());
    assert!((980 * KIB..=MIB).contains(&all), "{all} bytes");
    assert!(first.is_open());
    // Whoever exceeds it: the one that holds most is closed, and the others go on.
    third.send(vec![7; 50 * KIB]).await.unwrap();
    settle().await;
    assert_relieved(&first);
    assert!(second.is_open() && third.is_open());
    let all = held(&server.handle());
    assert!((640 * KIB..=660 * KIB).contains(&all), "{all} bytes");
    assert_eq!(server.stats().closed[&CloseCode::TRY_AGAIN_LATER], 1);
}

/// Receives in a task, as programs do.
fn receive(mut connection: Connection) -> JoinHandle<Connection> {
    tokio::spawn(async move {
        while let Ok(Some(_)) = connection.recv().await {}
        connection
    })
}

#[tokio::test(start_paused = true)]
async fn whose_message_is_longest_is_closed_first() {
    let mut server = limited(MIB);
    let (first, a) = pair(&mut server).await;
    let (second, b) = pair(&mut server).await;
    let (third, c) = pair(&mut server).await;
    let (first, second, third) = (receive(first), receive(second), receive(third));
    let begins = async |client: &Connection, kib: usize| {
        client.send_frame(Frame::binary(vec![7; kib * KIB]).fin(false)).await.unwrap();
        client.flushed().await;
        settle().await;
    };
    begins(&a, 600).await;
    begins(&b, 200).await;
    let all = held(&server.handle());
    assert!((800 * KIB..=MIB).contains(&all), "{all} bytes");
    begins(&c, 300).await;
    assert_relieved(&first.await.unwrap());
    for other in [&b, &c] {
        assert!(other.is_open(), "{:?}", other.closed());
    }
    assert!(!second.is_finished() && !third.is_finished());
    assert!(b.is_open() && c.is_open());
    // What is received whole is no longer held.
    for client in [&b, &c] {
        client.send_frame(Frame::continuation("").fin(true)).await.unwrap();
    }
    settle().await;
    assert_eq!(held(&server.handle()), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_the_count_however_connections_end() {
    let mut server = limited(64 * MIB);
    let handle = server.handle();
    for way in 0..6 {
        let (mut connection, client) = pair(&mut server).await;
        connection.send(vec![7; 300 * KIB]).await.unwrap();
        settle().await;
        assert!(held(&handle) >= 290 * KIB);
        match way {
            0 => drop(client),
            1 => connection.abort(CloseCode::POLICY, ""),
            2 => drop(connection.close(CloseCode::NORMAL, "").await.unwrap()),
            3 => drop(receive(client)),
            4 => {
                client.send_frame(Frame::binary(vec![7; 300 * KIB]).fin(false)).await.unwrap();
                drop(receive(client));
                let _ = tokio::time::timeout(std::time::Duration::from_secs(1), connection.recv())
                    .await;
                assert!(held(&handle) >= 300 * KIB);
            }
            _ => {}
        }
        drop(connection);
        // The close, keepalive and send timeouts are over then.
        tokio::time::sleep(std::time::Duration::from_secs(200)).await;
        assert_eq!(held(&handle), 0, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_slow_readers_is_bounded_and_some_stay() {
    let mut server = limited(2 * MIB);
    let handle = server.handle();
    let mut connections = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..100 {
        let (connection, client) = pair(&mut server).await;
        connections.push(connection);
        clients.push(client);
    }
    for _ in 0..10 {
        for connection in &connections {
            let _ = connection.try_send(vec![7; 30 * KIB]);
            settle().await;
            let all = held(&handle);
            assert!(all <= 2 * MIB, "{all} bytes");
        }
        handle.connections().broadcast("x".repeat(1000)).await;
        settle().await;
        assert!(held(&handle) <= 2 * MIB);
    }
    let open = connections.iter().filter(|connection| connection.is_open()).count();
    assert!((1..100).contains(&open), "{open} are open");
}

#[tokio::test(start_paused = true)]
async fn connections_within_it_are_left_alone() {
    let mut server = limited(MIB);
    let mut clients = Vec::new();
    for _ in 0..50 {
        let (mut connection, client) = pair(&mut server).await;
        tokio::spawn(async move {
            while let Some(message) = connection.recv().await? {
                connection.send(message).await?;
            }
            towline::Result::Ok(())
        });
        clients.push(tokio::spawn(async move {
            let mut client = client;
            for _ in 0..20 {
                client.send(vec![7; 10 * KIB]).await.unwrap();
                assert_eq!(client.recv().await.unwrap().unwrap().len(), 10 * KIB);
            }
            client
        }));
    }
    let mut open = Vec::new();
    for client in clients {
        open.push(client.await.unwrap());
    }
    settle().await;
    assert!(open.iter().all(Connection::is_open));
    assert_eq!(held(&server.handle()), 0);
    // Without the option, nothing is counted.
    assert_eq!(Server::builder().build().stats().buffered_bytes, None);
}

/// A server's connection whose client has sent this many tiny messages, over a pipe that holds all.
async fn greeted(server: &mut Server, messages: usize) -> (Connection, Connection) {
    let (near, far) = tokio::io::duplex(128 * KIB);
    server.serve(near, None);
    let connecting = tokio::spawn(Client::new().connect_over(far, "ws://h/"));
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    let client = connecting.await.unwrap().unwrap();
    for _ in 0..messages {
        client.send("ahoy").await.unwrap();
    }
    client.flushed().await;
    (connection, client)
}

#[tokio::test(start_paused = true)]
async fn what_a_slowed_down_client_has_sent_counts() {
    for by_event in [false, true] {
        let builder = Server::builder().max_buffered_bytes(8 * MIB);
        let mut server = builder.max_message_rate(Rate::per_minute(10)).build();
        let handle = server.handle();
        let mut clients = Vec::new();
        for number in 1..=5 {
            let (mut connection, client) = greeted(&mut server, 20).await;
            clients.push(client);
            tokio::spawn(async move {
                if by_event {
                    while let Ok(Some(_)) = connection.next_event().await {}
                } else {
                    let (_sender, mut receiver) = connection.split();
                    while let Ok(Some(_)) = receiver.recv_ref().await {}
                }
            });
            settle().await;
            assert_eq!(held(&handle), number * BUFFER);
        }
        // Once all is received, the buffers are back.
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
        assert_eq!(held(&handle), 0);
        assert!(clients.iter().all(Connection::is_open));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_busy_program_has_not_received_counts() {
    let mut server = limited(8 * MIB);
    let handle = server.handle();
    let (mut whole, _a) = greeted(&mut server, 3).await;
    assert!(whole.recv().await.unwrap().is_some());
    assert_eq!(held(&handle), BUFFER);
    assert!(whole.recv().await.unwrap().is_some());
    assert_eq!(held(&handle), BUFFER);
    // The last one takes the buffer with it.
    assert!(whole.recv().await.unwrap().is_some());
    assert_eq!(held(&handle), 0);

    let (lending, _b) = greeted(&mut server, 3).await;
    let (_sender, mut receiver) = lending.split();
    assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 4);
    assert_eq!(held(&handle), BUFFER);

    let (mut reading, _c) = greeted(&mut server, 3).await;
    drop(reading.recv_reader().await.unwrap());
    assert_eq!(held(&handle), 2 * BUFFER);
    drop((receiver, reading));
    settle().await;
    tokio::time::sleep(std::time::Duration::from_secs(200)).await;
    assert_eq!(held(&handle), 0);
}

/// A pass closes any number of connections, and lets other tasks run meanwhile.
#[tokio::test(start_paused = true)]
async fn closing_many_lets_others_run() {
    // Half of each message is in the pipe.
    const MOST: usize = 1600 * 4 * KIB;
    let mut server = limited(MOST);
    let handle = server.handle();
    let mut connections = Vec::new();
    let mut clients = Vec::new();
    while held(&handle) <= MOST {
        let (connection, client) = pair(&mut server).await;
        connection.try_send(vec![7; 8 * KIB]).unwrap();
        connections.push(connection);
        clients.push(client);
    }
    let mut open = Vec::new();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        open.push(connections.iter().filter(|connection| connection.is_open()).count());
    }
    open.dedup();
    let (most, fewest) = (open[0], open[open.len() - 1]);
    assert!(most > 1400 && most - fewest > 150, "{open:?}");
    assert!(open.windows(2).all(|two| two[0] - two[1] <= 100), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn slowed_down_clients_that_hold_too_much_are_closed() {
    let builder = Server::builder().max_buffered_bytes(MIB);
    let mut server = builder.max_message_rate(Rate::per_minute(1)).build();
    let handle = server.handle();
    let mut clients = Vec::new();
    for _ in 0..40 {
        let (connection, client) = greeted(&mut server, 20).await;
        clients.push(client);
        receive(connection);
        settle().await;
        assert!(held(&handle) <= MIB, "{} bytes", held(&handle));
    }
    let closed = server.stats().closed[&CloseCode::TRY_AGAIN_LATER];
    assert!((24..40).contains(&closed), "{closed} of 40");
}

/// Messages of topics that are kept for a slow member count, as long as they are kept.
#[tokio::test(start_paused = true)]
async fn what_is_kept_of_a_topic_counts() {
    let most = NonZeroUsize::new(3).unwrap();
    let options = move |_: &str| TopicOptions::default().when_full(WhenFull::KeepNewest(most));
    let topics = Topics::builder().options(options).build();
    let topic = topics.topic("room/7").unwrap();
    let mut server = limited(8 * MIB);
    let (slow, mut far) = pair(&mut server).await;
    topic.join(&slow).await.unwrap();
    slow.send(vec![7; 2 * MIB]).await.unwrap();
    settle().await;
    let before = held(&server.handle());
    for _ in 0..5 {
        topic.publish(vec![7; 100 * KIB]).await;
        settle().await;
    }
    let kept = held(&server.handle()) - before;
    assert_eq!((kept, topic.skipped(&slow)), (300 * KIB, 2));
    for _ in 0..4 {
        far.recv().await.unwrap().unwrap();
    }
    settle().await;
    assert_eq!((held(&server.handle()), topic.stats().delivered), (0, 3));
    // Those that are dropped with the membership don't count any more.
    slow.send(vec![7; 2 * MIB]).await.unwrap();
    topic.publish(vec![7; 100 * KIB]).await;
    settle().await;
    let before = held(&server.handle());
    topic.leave(&slow);
    slow.try_send("accounted anew").unwrap_err();
    settle().await;
    assert!(before - held(&server.handle()) >= 100 * KIB);
}
