//! Quotas: connections in all, and connections and handshakes by address.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use towline::{Rate, Request, Server, ServerEvent, TrustedProxies, Upgraded};

use crate::http::{answer, head, header, http_request, request, says, says_from, status};
use crate::wire::settle;

const HERE: &str = "192.0.2.1:1000";
const ELSEWHERE: &str = "192.0.2.2:1000";
const PROXY: &str = "127.0.0.1:1000";

async fn connect(server: &Server, from: &str) -> DuplexStream {
    says_from(server, request("/", &[]).as_bytes(), Some(from)).await
}

/// A connection of this client, with both of its ends.
async fn connected(server: &mut Server, from: &str) -> (towline::Connection, DuplexStream) {
    let mut far = connect(server, from).await;
    let request = server.next_request().await.unwrap();
    let connection = request.accept().await.unwrap();
    assert_eq!(status(&head(&mut far).await), 101);
    (connection, far)
}

/// The status, the value of Retry-After, and the reason that a refused client gets.
async fn refused(far: DuplexStream) -> (u16, u64, String) {
    let answer = answer(far).await;
    let retry_after = header(&answer, "retry-after").expect("a time").parse().unwrap();
    let reason = header(&answer, "x-websocket-reject-reason").unwrap().to_owned();
    (status(&answer), retry_after, reason)
}

#[tokio::test(start_paused = true)]
async fn a_server_takes_so_many_connections_and_no_more() {
    let mut server = Server::builder().max_connections(2).build();
    let mut events = server.events();
    let first = connected(&mut server, HERE).await;
    // A request that is not answered yet will be a connection.
    let _far = connect(&server, ELSEWHERE).await;
    let second = server.next_request().await.unwrap();
    let (status, retry_after, reason) = refused(connect(&server, ELSEWHERE).await).await;
    assert_eq!((status, retry_after), (503, 10));
    assert!(reason.contains("max_connections)") && reason.contains('2'), "{reason}");
    assert_eq!(server.stats().rejected[&StatusCode::SERVICE_UNAVAILABLE], 1);
    let rejected = loop {
        if let ServerEvent::Rejected { status, reason, .. } = events.next().await.unwrap() {
            break (status, reason);
        }
    };
    assert_eq!(rejected, (StatusCode::SERVICE_UNAVAILABLE, reason));
    drop(first);
    settle().await;
    let _third = connected(&mut server, HERE).await;
    second.accept().await.unwrap();
    assert_eq!(refused(connect(&server, HERE).await).await.0, 503);
}

/// What a client can do with its place, or the program.
async fn every_way_to_end(server: &mut Server, from: &str) {
    // It sends nothing of use, sends half of it, or goes away.
    drop(says_from(server, b"", Some(from)).await);
    settle().await;
    drop(says_from(server, b"GET / HTTP/1.1\r\nHos", Some(from)).await);
    settle().await;
    let far = says_from(server, b"nonsense\r\n\r\n", Some(from)).await;
    assert_eq!(status(&answer(far).await), 400);
    // The program rejects, forgets, or begins and gives up.
    let far = connect(server, from).await;
    server.next_request().await.unwrap().reject(StatusCode::NOT_FOUND, "no").await.unwrap();
    assert_eq!(status(&answer(far).await), 404);
    let far = connect(server, from).await;
    drop(server.next_request().await.unwrap());
    assert_eq!(status(&answer(far).await), 500);
    let far = connect(server, from).await;
    drop(server.next_request().await.unwrap().accept());
    assert_eq!(status(&answer(far).await), 500);
    let far = connect(server, from).await;
    let request = server.next_request().await.unwrap();
    drop(far);
    assert!(request.accept().await.is_err());
    // The connection ends in this way or that.
    let (mut connection, far) = connected(server, from).await;
    drop(far);
    assert!(connection.recv().await.is_err());
    drop(connection);
    let (connection, _far) = connected(server, from).await;
    connection.abort(towline::CloseCode::POLICY, "");
    settle().await;
    let (connection, far) = connected(server, from).await;
    let (sender, receiver) = connection.split();
    drop(receiver);
    drop(far);
    sender.wait_closed().await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_again_however_it_ends() {
    let builder = || Server::builder().max_connections(1).max_connections_per_address(1);
    for (mut server, from) in [(builder().build(), HERE), (builder().build(), PROXY)] {
        for _ in 0..3 {
            every_way_to_end(&mut server, from).await;
        }
        // It is one place, not more.
        let _open = connected(&mut server, from).await;
        assert_eq!(refused(connect(&server, from).await).await.0, 429);
        assert_eq!(refused(connect(&server, ELSEWHERE).await).await.0, 503);
        drop(_open);
        settle().await;
        let _open = connected(&mut server, ELSEWHERE).await;
    }
}

/// A client that has been answered is waited for, so that it can read the answer: a flood of them
/// must not take all file descriptors.
#[tokio::test(start_paused = true)]
async fn a_flood_of_refused_streams_leaves_few_of_them_open() {
    let mut server = Server::builder().max_connections_per_address(1).build();
    let _open = connected(&mut server, HERE).await;
    let mut refused = Vec::new();
    for _ in 0..1000 {
        let mut far = connect(&server, HERE).await;
        assert_eq!(status(&head(&mut far).await), 429);
        refused.push(far);
    }
    settle().await;
    let mut open = 0;
    for far in &mut refused {
        open += usize::from(far.write_all(b"more").await.is_ok());
    }
    assert!((1..=256).contains(&open), "{open} are open");
    // They make room for others.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut far = connect(&server, HERE).await;
    assert_eq!(status(&head(&mut far).await), 429);
    settle().await;
    far.write_all(b"more").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_address_takes_so_many_connections_and_others_are_not_affected() {
    let mut server = Server::builder().max_connections_per_address(2).build();
    let _first = connected(&mut server, HERE).await;
    let _second = connected(&mut server, "[::ffff:192.0.2.1]:2").await;
    let (status, retry_after, reason) = refused(connect(&server, HERE).await).await;
    assert_eq!((status, retry_after), (429, 10));
    for part in ["2 connections", "192.0.2.1", "max_connections_per_address"] {
        assert!(reason.contains(part), "{reason}");
    }
    let _other = connected(&mut server, ELSEWHERE).await;
    // An IPv6 customer has a whole network.
    let _third = connected(&mut server, "[2001:db8:0:1::1]:1").await;
    let _fourth = connected(&mut server, "[2001:db8:0:1:ffff::2]:1").await;
    let (status, _, reason) = refused(connect(&server, "[2001:db8:0:1::3]:1").await).await;
    assert_eq!(status, 429);
    assert!(reason.contains("2001:db8:0:1::/64"), "{reason}");
    let _fifth = connected(&mut server, "[2001:db8:0:2::1]:1").await;
    // Clients of which no address is known are not limited.
    let mut unknown = Vec::new();
    for _ in 0..5 {
        unknown.push(says(&server, request("/", &[]).as_bytes()).await);
        unknown.last_mut().unwrap().flush().await.unwrap();
        drop(server.next_request().await.unwrap().accept().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn the_network_that_counts_as_one_address_can_be_chosen() {
    let builder = Server::builder().max_connections_per_address(1).address_prefixes(24, 48);
    let mut server = builder.build();
    let _first = connected(&mut server, "198.51.100.1:1").await;
    let (_, _, reason) = refused(connect(&server, "198.51.100.200:1").await).await;
    assert!(reason.contains("198.51.100.0/24"), "{reason}");
    let _second = connected(&mut server, "198.51.101.1:1").await;
    let _third = connected(&mut server, "[2001:db8:7:1::1]:1").await;
    let (_, _, reason) = refused(connect(&server, "[2001:db8:7:2::1]:1").await).await;
    assert!(reason.contains("2001:db8:7::/48"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_refused_before_its_head_is_read_and_unfinished_heads_count() {
    let mut server = Server::builder().max_connections_per_address(2).build();
    let _slow = says_from(&server, b"GET / HTTP/1.1\r\n", Some(HERE)).await;
    let _silent = says_from(&server, b"", Some(HERE)).await;
    settle().await;
    assert_eq!(refused(says_from(&server, b"", Some(HERE)).await).await.0, 429);
    let _other = connected(&mut server, ELSEWHERE).await;
    // They end by the timeout of handshakes.
    tokio::time::sleep(Duration::from_secs(13)).await;
    let _first = connected(&mut server, HERE).await;
}

#[tokio::test(start_paused = true)]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let mut server = Server::builder()
        .trusted_proxies(TrustedProxies::default().and("10.1.4.0/24").unwrap())
        .max_connections_per_address(1)
        .build();
    let for_client = |client: &str| request("/", &[("X-Forwarded-For", client)]);
    let mut open = Vec::new();
    // None of these has said yet for whom it is.
    for _ in 0..10 {
        open.push(says_from(&server, b"", Some(PROXY)).await);
    }
    for client in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        for proxy in [PROXY, "10.1.4.2:1"] {
            let far = says_from(&server, for_client(client).as_bytes(), Some(proxy)).await;
            if proxy == PROXY {
                let request = server.next_request().await.unwrap();
                assert_eq!(request.remote_address().unwrap().to_string(), client);
                let connection = request.accept().await.unwrap();
                tokio::spawn(async move { connection.sender().wait_closed().await });
                open.push(far);
            } else {
                let (status, _, reason) = refused(far).await;
                assert_eq!(status, 429);
                assert!(reason.contains(client), "{reason}");
            }
        }
    }
    // A peer that is no proxy counts as itself, whatever it claims.
    let _claims = says_from(&server, for_client("6.6.6.6").as_bytes(), Some(HERE)).await;
    let request = server.next_request().await.unwrap();
    assert_eq!(refused(connect(&server, HERE).await).await.0, 429);
    drop(request);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_connects_too_often_is_told_when_to_come_back() {
    let rate = Rate::per_second(1).burst(3);
    let mut server = Server::builder().max_handshake_rate(rate).build();
    for _ in 0..3 {
        drop(connected(&mut server, HERE).await);
    }
    let (status, retry_after, reason) = refused(connect(&server, HERE).await).await;
    assert_eq!((status, retry_after), (429, 1));
    let expected =
        "192.0.2.1 begins handshakes too often: 1 a second, 3 at once (max_handshake_rate)";
    assert_eq!(reason, expected);
    let _other = connected(&mut server, ELSEWHERE).await;
    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    drop(connected(&mut server, HERE).await);
    assert_eq!(refused(connect(&server, HERE).await).await.0, 429);
    // Longer waits are said in full.
    let mut server = Server::builder().max_handshake_rate(Rate::per_minute(2)).build();
    drop(connected(&mut server, HERE).await);
    drop(connected(&mut server, HERE).await);
    assert_eq!(refused(connect(&server, HERE).await).await.1, 30);
}

#[tokio::test(start_paused = true)]
async fn requests_of_an_http_library_count_as_others_do() {
    let take = |server: &towline::ServerHandle, from: &str| {
        let upgraded = async { Ok(Upgraded::new(tokio::io::duplex(64).0, [])) };
        server.request(http_request(), Some(from.parse().unwrap()), upgraded)
    };
    let server = Server::builder()
        .max_connections(3)
        .max_connections_per_address(2)
        .max_handshake_rate(Rate::per_second(1).burst(4))
        .build_handle();
    let mut taken: Vec<(Request, _)> = Vec::new();
    taken.push(take(&server, HERE).unwrap());
    taken.push(take(&server, HERE).unwrap());
    let rejection = take(&server, HERE).unwrap_err();
    assert_eq!(rejection.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(rejection.reason().contains("max_connections_per_address"), "{rejection}");
    let (name, value) = &rejection.headers()[0];
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("retry-after", "10"));
    taken.push(take(&server, ELSEWHERE).unwrap());
    let rejection = take(&server, "192.0.2.3:1").unwrap_err();
    assert_eq!(rejection.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(rejection.reason().contains("max_connections"), "{rejection}");
    // What was refused is counted for the rate.
    taken.clear();
    let _last = take(&server, HERE).unwrap();
    let rejection = take(&server, HERE).unwrap_err();
    assert!(rejection.reason().contains("max_handshake_rate"), "{rejection}");
    // The same with a queue.
    let mut server = Server::builder().max_connections_per_address(1).build();
    let handle = server.handle();
    let upgrade = |from: &str| {
        let upgraded = async { Ok(Upgraded::new(tokio::io::duplex(64).0, [])) };
        let (handle, from) = (handle.clone(), from.parse().unwrap());
        tokio::spawn(async move { handle.upgrade(http_request(), Some(from), upgraded).await })
    };
    let _first = upgrade(HERE);
    let _request = server.next_request().await.unwrap();
    let response = upgrade(HERE).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "10");
}

/// Threads do not get in each other's way, and together never exceed a limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_exceed_no_limit() {
    let builder = Server::builder().max_connections(20).max_connections_per_address(7);
    let mut server = builder.bind("127.0.0.1:0").await.unwrap();
    let handle = server.handle();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(async move {
                let Ok(mut connection) = request.accept().await else { return };
                while let Ok(Some(_)) = connection.recv().await {}
            });
        }
    });
    let clients: Vec<_> = (0..200)
        .map(|number| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let from = format!("203.0.113.{}", number % 10);
                let client = towline::Client::new().header("x-forwarded-for", from);
                let connected = client.connect(format!("ws://{address}/")).await;
                let stats = handle.stats();
                assert!(stats.connections <= 20, "{} connections", stats.connections);
                let connection = connected.ok()?;
                tokio::task::yield_now().await;
                Some(connection)
            })
        })
        .collect();
    let mut open = Vec::new();
    for client in clients {
        open.extend(client.await.unwrap());
    }
    assert!(open.len() <= 20 && open.len() >= 7, "{} connections", open.len());
    let stats = handle.stats();
    assert_eq!(stats.rejected.values().sum::<u64>(), 200 - stats.accepted);
    drop(open);
    while !handle.connections().is_empty() {
        tokio::task::yield_now().await;
    }
    // All places are free again.
    let again = towline::Client::new().connect(format!("ws://{address}/")).await;
    again.unwrap().close(towline::CloseCode::NORMAL, "").await.unwrap();
}
