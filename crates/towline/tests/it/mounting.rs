//! A server that is mounted, unmounted, shut down, gone: who waits for what, and for how long.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use towline::{Blame, CloseCause, CloseCode, Connection, Error, ErrorKind, Role, Server, Shutdown};

use crate::http::{answer, arrives, head, http_request, request, says, status};
use crate::wire::settle;

/// Less than anything that times out.
const SECOND: Duration = Duration::from_secs(1);

/// Whatever happens without a deadline passing.
async fn promptly<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SECOND / 2, future).await.expect("something holds it up")
}

async fn shut_down(server: &Server) -> Shutdown {
    server.shutdown(CloseCode::GOING_AWAY, SECOND).await.unwrap()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A stream that takes no more than a few bytes until they are read, with a request.
async fn says_over_a_narrow_stream(server: &Server) -> DuplexStream {
    let (near, mut far) = duplex(16);
    server.serve(near, None);
    far.write_all(request("/", &[]).as_bytes()).await.unwrap();
    far
}

/// Streams without a whole request, and others on which an answer is on the way, or will be, that
/// nobody reads.
async fn silent(server: &Server) -> (Vec<DuplexStream>, Vec<DuplexStream>) {
    let mut streams = Vec::new();
    for said in ["", "G", "GET / HTTP/1.1\r\nHost: exa", "\r\n\r\n"].repeat(50) {
        streams.push(says(server, said.as_bytes()).await);
    }
    let mut deaf = Vec::new();
    for said in ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "SSH-2.0-OpenSSH_9.6\r\n\r\n", "GET /"] {
        let (near, mut far) = duplex(16);
        server.serve(near, None);
        far.write_all(said.as_bytes()).await.unwrap();
        deaf.push(far);
    }
    settle().await;
    (streams, deaf)
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_connections_leaves_requests_to_who_asks_for_those() {
    let mut server = Server::builder().build();
    let mut fars = Vec::new();
    for target in ["/1", "/2", "/3"] {
        fars.push(says(&server, request(target, &[]).as_bytes()).await);
        settle().await;
        assert!(server.next_connection().now_or_never().is_none());
    }
    for target in ["/1", "/2", "/3"] {
        assert!(server.next_connection().now_or_never().is_none());
        tokio::select! {
            biased;
            _ = server.next_connection() => panic!("there are none"),
            () = settle() => {}
        }
        assert_eq!(server.next_request().await.unwrap().path(), target);
    }
    assert!(server.connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_requests_leaves_connections_to_who_asks_for_those() {
    let mut server = Server::builder().auto_accept(true).build();
    let mut fars = Vec::new();
    for _ in 0..3 {
        fars.push(says(&server, request("/", &[]).as_bytes()).await);
        settle().await;
        assert!(server.next_request().now_or_never().is_none());
    }
    assert_eq!(server.connections().len(), 3);
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = server.next_request() => panic!("there are none"),
            () = settle() => {}
        }
        assert!(server.next_connection().await.unwrap().is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn asking_for_what_does_not_come_ends_with_the_shutdown() {
    for auto_accept in [false, true] {
        let mut server = Server::builder().auto_accept(auto_accept).build();
        assert!(server.next_request().now_or_never().is_none());
        assert!(server.next_connection().now_or_never().is_none());
        shut_down(&server).await;
        assert!(promptly(server.next_request()).await.is_none());
        assert!(promptly(server.next_connection()).await.is_none());
    }
}

#[tokio::test]
async fn who_waits_for_requests_waits_through_an_unmount_for_the_next_mount() {
    let mut server = Server::from_listener(listener().await);
    let handle = server.handle();
    let waiting = tokio::spawn(async move {
        let request = server.next_request().await.unwrap();
        (request.accept().await.unwrap(), server)
    });
    settle().await;
    handle.unmount();
    settle().await;
    assert!(!waiting.is_finished());
    handle.mount(listener().await).unwrap();
    let url = format!("ws://{}/", handle.local_addr().unwrap());
    let client = towline::Client::new().connect(url).await.unwrap();
    let (connection, server) = waiting.await.unwrap();
    assert!(client.is_open() && connection.is_open() && server.handle().is_mounted());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_requests_is_told_of_the_shutdown() {
    for (is_mounted, auto_accept) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut server = Server::builder().auto_accept(auto_accept).build();
        let handle = server.handle();
        let waiting = tokio::spawn(async move {
            if auto_accept {
                server.next_connection().await.map(drop)
            } else {
                server.next_request().await.map(drop)
            }
        });
        if !is_mounted {
            handle.unmount();
        }
        settle().await;
        assert!(!waiting.is_finished());
        promptly(handle.shutdown(CloseCode::GOING_AWAY, SECOND)).await.unwrap();
        assert_eq!(promptly(waiting).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn silent_streams_hold_up_neither_a_shutdown_nor_who_waits_for_its_end() {
    for auto_accept in [false, true] {
        let mut server = Server::builder().auto_accept(auto_accept).build();
        let (streams, _deaf) = silent(&server).await;
        let shutdown = promptly(shut_down(&server)).await;
        assert_eq!((shutdown.connections, shutdown.aborted), (0, 0));
        assert!(promptly(server.next_request()).await.is_none());
        assert!(promptly(server.next_connection()).await.is_none());
        for far in streams {
            assert_eq!(status(&promptly(answer(far)).await), 503);
        }
    }
}

/// They are a matter of the kernel's, too.
#[tokio::test]
async fn a_silent_socket_holds_up_neither_a_shutdown_nor_who_waits_for_its_end() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut other = TcpStream::connect(address).await.unwrap();
    other.write_all(request("/", &[]).as_bytes()).await.unwrap();
    let request = server.next_request().await.unwrap();
    drop(request);
    let handle = server.handle();
    let shutdown = handle.shutdown(CloseCode::GOING_AWAY, SECOND);
    let (none, shutdown) = tokio::join!(server.next_request(), shutdown);
    assert_eq!((none.is_none(), shutdown.unwrap().connections), (true, 0));
    let mut answer = String::new();
    silent.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 503);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_whole_request_is_refused_by_an_unmount() {
    let mut server = Server::builder().build();
    let (streams, _deaf) = silent(&server).await;
    server.unmount();
    // What has been refused does not come back.
    server.mount(listener().await).unwrap();
    for far in streams {
        assert_eq!(status(&promptly(answer(far)).await), 503);
    }
    let (request, _far) = arrives(&mut server, &[]).await;
    request.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_among_the_handshakes_is_refused_by_an_unmount() {
    let mut server = Server::builder().max_handshakes(1).build();
    let silent = says(&server, b"GET / HTTP/1.1\r\n").await;
    settle().await;
    let waiting = says(&server, request("/", &[]).as_bytes()).await;
    let handle = server.handle();
    let mut upgrade = pin!(handle.upgrade(http_request(), None, std::future::pending()));
    assert!(upgrade.as_mut().now_or_never().is_none());
    settle().await;
    server.unmount();
    assert_eq!(status(&promptly(answer(silent)).await), 503);
    assert_eq!(status(&promptly(answer(waiting)).await), 503);
    assert_eq!(promptly(upgrade).await.status(), 503);
    assert!(server.next_request().now_or_never().is_none());
    shut_down(&server).await;
    assert!(promptly(server.next_request()).await.is_none());
}

#[tokio::test]
async fn a_socket_that_waits_for_a_place_is_refused_by_an_unmount() {
    let server = Server::builder().max_handshakes(1).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let mut sockets = Vec::new();
    for _ in 0..2 {
        sockets.push(TcpStream::connect(address).await.unwrap());
    }
    // Both have been accepted when a third one is, which is not before one of them is served.
    sockets[0].write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    settle().await;
    server.unmount();
    for mut socket in sockets {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert_eq!(status(&answer), 503);
    }
}

/// Those too that there was no place for.
#[tokio::test(start_paused = true)]
async fn requests_that_came_before_a_shutdown_are_handed_out_first() {
    let mut server = Server::builder().max_pending_requests(2).build();
    let mut fars = Vec::new();
    for number in 0..7 {
        fars.push(says(&server, request(&format!("/{number}"), &[]).as_bytes()).await);
    }
    let handle = server.handle();
    let mut upgrade = pin!(handle.upgrade(http_request(), None, std::future::pending()));
    assert!(upgrade.as_mut().now_or_never().is_none());
    settle().await;
    let _silent = silent(&server).await;
    promptly(shut_down(&server)).await;
    let mut requests = Vec::new();
    while let Some(request) = promptly(server.next_request()).await {
        requests.push(request);
    }
    assert_eq!(requests.len(), 8);
    // They are the program's to answer, and what becomes of them is closed.
    let connection = requests.remove(0).accept().await.unwrap();
    assert!(!connection.is_open());
    assert_eq!(status(&head(&mut fars[0]).await), 101);
    drop(requests);
    assert_eq!(promptly(upgrade).await.status(), 500);
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_to_be_accepted_unasked_are_refused_by_a_shutdown() {
    let mut server = Server::builder().auto_accept(true).max_pending_requests(1).build();
    let mut first = says(&server, request("/", &[]).as_bytes()).await;
    settle().await;
    let second = says(&server, request("/", &[]).as_bytes()).await;
    settle().await;
    let (_, answer) = tokio::join!(shut_down(&server), promptly(answer(second)));
    assert_eq!(status(&answer), 503);
    assert_eq!(status(&head(&mut first).await), 101);
    let connection = promptly(server.next_connection()).await.unwrap();
    assert!(!connection.is_open());
    assert!(promptly(server.next_connection()).await.is_none());
}

/// The client of a server that shuts down reads its answer, and then a close frame.
async fn is_closed_properly(mut far: DuplexStream) {
    assert_eq!(status(&head(&mut far).await), 101);
    let config = towline::Config::client();
    let mut client = Connection::from_stream(far, Role::Client, &config, bytes::Bytes::new());
    assert_eq!(client.recv().await.unwrap(), None);
    let closed = client.closed().unwrap();
    assert_eq!((closed.code(), closed.is_clean()), (CloseCode::GOING_AWAY, true));
}

#[tokio::test(start_paused = true)]
async fn a_connection_being_accepted_is_waited_for_closed_and_handed_out() {
    let mut server = Server::builder().auto_accept(true).build();
    let far = says_over_a_narrow_stream(&server).await;
    settle().await;
    let client = tokio::spawn(async move {
        settle().await;
        is_closed_properly(far).await;
    });
    let handle = server.handle();
    let (shutdown, connection) = tokio::join!(
        promptly(handle.shutdown(CloseCode::GOING_AWAY, SECOND)),
        promptly(async {
            let mut connection = server.next_connection().await.unwrap();
            while connection.recv().await.unwrap().is_some() {}
            connection
        })
    );
    assert_eq!(shutdown.unwrap().aborted, 0);
    assert_eq!(connection.closed().unwrap().cause(), CloseCause::Handshake);
    client.await.unwrap();
    assert!(promptly(server.next_connection()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_accept_of_the_programs_is_waited_for_too() {
    let mut server = Server::builder().build();
    let far = says_over_a_narrow_stream(&server).await;
    let request = server.next_request().await.unwrap();
    let accepting = tokio::spawn(async move {
        let mut connection = request.accept().await.unwrap();
        connection.recv().await.unwrap()
    });
    settle().await;
    let mut shutdown = pin!(server.shutdown(CloseCode::GOING_AWAY, SECOND));
    assert!(shutdown.as_mut().now_or_never().is_none(), "it is being accepted");
    promptly(is_closed_properly(far)).await;
    assert_eq!(promptly(accepting).await.unwrap(), None);
    assert_eq!(promptly(shutdown).await.unwrap().aborted, 0);
}

#[tokio::test(start_paused = true)]
async fn an_accept_that_nobody_takes_is_given_up_at_the_deadline_of_the_shutdown() {
    let mut server = Server::builder().auto_accept(true).build();
    let _far = says_over_a_narrow_stream(&server).await;
    let mut upgrades = Vec::new();
    for _ in 0..3 {
        let handle = server.handle();
        // The library says that it is on its way, and never gives the stream.
        upgrades.push(tokio::spawn(async move {
            handle.upgrade(http_request(), None, std::future::pending()).await
        }));
    }
    settle().await;
    assert!(server.next_connection().now_or_never().is_none());
    shut_down(&server).await;
    assert!(promptly(server.next_connection()).await.is_none());

    let mut server = Server::builder().build();
    let _far = says_over_a_narrow_stream(&server).await;
    let request = server.next_request().await.unwrap();
    let mut accepting = pin!(request.accept());
    assert!(accepting.as_mut().now_or_never().is_none());
    shut_down(&server).await;
    let error = promptly(accepting).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestGone);
    assert!(error.to_string().contains("deadline of the shutdown"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_waits_for_the_same_end_with_a_deadline_of_its_own() {
    let config = towline::Config::server().close_timeout(60 * SECOND);
    let mut server = Server::builder().config(config).build();
    let (request, _far) = arrives(&mut server, &[]).await;
    let connection = request.accept().await.unwrap();
    let handle = server.handle();
    let first =
        tokio::spawn(async move { handle.shutdown(CloseCode::GOING_AWAY, 30 * SECOND).await });
    settle().await;
    assert!(!first.is_finished());
    let second = server.shutdown(CloseCode::NORMAL, SECOND).await.unwrap();
    assert_eq!((second.connections, second.aborted), (1, 1));
    assert_eq!(promptly(first).await.unwrap().unwrap().connections, 1);
    // What was said first was said.
    let sent = connection.closed().unwrap().sent().map(towline::CloseFrame::code);
    assert_eq!(sent, Some(CloseCode::GOING_AWAY));
    let third = promptly(shut_down(&server)).await;
    assert_eq!((third.connections, third.aborted), (0, 0));
    assert!(promptly(server.next_request()).await.is_none());
}

fn is_gone(result: Result<(), Error>, words: [&str; 2]) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.blame()), (ErrorKind::ServerGone, Blame::Local));
    for word in words {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn mounting_a_server_that_is_gone_is_an_error_that_says_why() {
    for is_mounted in [true, false] {
        let mut server = Server::from_listener(listener().await);
        let handle = server.handle();
        if !is_mounted {
            server.unmount();
        }
        shut_down(&server).await;
        let socket = listener().await;
        let address = socket.local_addr().unwrap();
        is_gone(server.mount(socket), ["shut down", &address.to_string()]);
        assert!(!handle.is_mounted() && handle.local_addrs().is_empty());
        assert!(TcpStream::connect(address).await.is_err(), "it is closed");
        assert!(server.next_request().await.is_none());
        drop(server);
        // The first reason is the reason.
        is_gone(handle.mount(listener().await), ["shut down", "127.0.0.1"]);

        let server = Server::builder().build();
        let handle = server.handle();
        if !is_mounted {
            server.unmount();
        }
        drop(server);
        is_gone(handle.mount(listener().await), ["dropped", "127.0.0.1"]);
        assert!(!handle.is_mounted());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_refuses_what_it_is_still_given() {
    for auto_accept in [false, true] {
        let builder = Server::builder().auto_accept(auto_accept).max_pending_requests(1);
        let server = builder.build();
        let handle = server.handle();
        let (waiting, _deaf) = silent(&server).await;
        let queued = says(&server, request("/", &[]).as_bytes()).await;
        settle().await;
        let without_place = says(&server, request("/", &[]).as_bytes()).await;
        settle().await;
        drop(server);
        for far in waiting {
            assert_eq!(status(&promptly(answer(far)).await), 503);
        }
        assert_eq!(status(&promptly(answer(without_place)).await), 503);
        if auto_accept {
            is_closed_properly(queued).await;
        } else {
            assert_eq!(status(&promptly(answer(queued)).await), 500);
        }
        let (near, far) = duplex(1 << 10);
        handle.serve(near, None);
        assert_eq!(status(&promptly(answer(far)).await), 503);
        let upgrade = handle.upgrade(http_request(), None, std::future::pending());
        assert_eq!(promptly(upgrade).await.status(), 503);
        promptly(handle.shutdown(CloseCode::GOING_AWAY, SECOND)).await.unwrap();
    }
}

/// Whoever is told of an acceptance has a connection, and the server knows of no others.
async fn is_mounted_and_unmounted_under_load(auto_accept: bool) {
    let mut server = Server::builder().auto_accept(auto_accept).build();
    let handle = server.handle();
    let (tell, mut told) = mpsc::unbounded_channel::<std::net::SocketAddr>();
    let (connects, mut connected) = mpsc::unbounded_channel();
    let clients = tokio::spawn(async move {
        let mut clients = Vec::new();
        while let Some(address) = told.recv().await {
            for _ in 0..4 {
                let connects = connects.clone();
                clients.push(tokio::spawn(async move {
                    let client = towline::Client::new();
                    let mut client = client.connect(format!("ws://{address}/")).await.ok()?;
                    let _ = connects.send(());
                    Some(client.recv().await.is_ok() && client.closed().unwrap().is_clean())
                }));
            }
        }
        let mut clean = Vec::new();
        for client in clients {
            clean.extend(client.await.unwrap());
        }
        clean
    });
    let mounting = tokio::spawn(async move {
        for round in 0..60 {
            let socket = listener().await;
            let address = socket.local_addr().unwrap();
            handle.mount(socket).unwrap();
            tell.send(address).unwrap();
            // It is unmounted at any moment, but for some rounds, so that there is somebody.
            for _ in 0..round % 12 {
                tokio::task::yield_now().await;
            }
            if round % 12 == 0 {
                connected.recv().await.unwrap();
            }
            handle.unmount();
        }
        drop(tell);
        let shutdown = handle.shutdown(CloseCode::GOING_AWAY, 60 * SECOND).await.unwrap();
        assert_eq!(shutdown.aborted, 0);
    });
    let mut accepted = 0;
    loop {
        let connection = if auto_accept {
            let Some(connection) = server.next_connection().await else { break };
            connection
        } else {
            let Some(request) = server.next_request().await else { break };
            // The client may have given up.
            let Ok(connection) = request.accept().await else { continue };
            connection
        };
        accepted += 1;
        tokio::spawn(async move {
            let mut connection = connection;
            while let Ok(Some(_)) = connection.recv().await {}
        });
    }
    mounting.await.unwrap();
    let clean = clients.await.unwrap();
    assert_eq!(clean.len(), accepted);
    assert!(clean.into_iter().all(|is_clean| is_clean));
    assert!(accepted > 0);
}

#[tokio::test]
async fn mounting_and_unmounting_under_load_loses_nobody_who_was_accepted() {
    is_mounted_and_unmounted_under_load(false).await;
    is_mounted_and_unmounted_under_load(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mounting_and_unmounting_on_many_threads_loses_nobody_who_was_accepted() {
    is_mounted_and_unmounted_under_load(false).await;
    is_mounted_and_unmounted_under_load(true).await;
}
