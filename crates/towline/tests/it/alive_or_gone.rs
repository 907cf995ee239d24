//! Promise 6: keepalive pings, the grace period and the close timeout run although the program
//! neither receives nor sends. A peer is never declared dead while its bytes lie unread.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use towline::{
    Blame, CloseCause, CloseCode, Config, Connection, ErrorKind, Initiator, Keepalive, Opcode,
    Role, Server,
};
use towline_kit::frame;

use crate::http::{accepts, head};
use crate::wire::{Far, connect, connect_with_early, settle};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config::server().keepalive(Keepalive::every(20 * SECOND).grace(10 * SECOND))
}

fn pings(far: &Far) -> usize {
    let heard = far.hears();
    assert!(heard.iter().all(|heard| heard.opcode() == Opcode::Ping), "{heard:?}");
    heard.len()
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_gone_though_nobody_receives_or_sends() {
    for role in [Role::Server, Role::Client] {
        let (mut connection, far) = connect(role, &config());
        let opened = Instant::now();
        sleep(19 * SECOND).await;
        assert_eq!(pings(&far), 0);
        sleep(2 * SECOND).await;
        assert_eq!(pings(&far), 1);
        let closed = connection.sender().wait_closed().await;
        assert_eq!(opened.elapsed().as_secs(), 30);
        assert_eq!(closed.cause(), CloseCause::PeerUnresponsive);
        assert_eq!((closed.initiator(), closed.code()), (Initiator::Local, CloseCode::ABNORMAL));
        for _ in 0..3 {
            let error = connection.recv().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PeerUnresponsive);
            assert_eq!(error.blame(), Blame::Remote);
        }
        drop(connection);
        settle().await;
        assert!(far.is_dropped());
    }
}

#[tokio::test(start_paused = true)]
async fn who_receives_hears_of_a_peer_that_is_gone() {
    let (mut connection, _far) = connect(Role::Server, &config());
    let opened = Instant::now();
    assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::PeerUnresponsive);
    assert_eq!(opened.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn any_byte_is_a_sign_of_life() {
    let (mut connection, far) = connect(Role::Server, &config());
    let receiving = tokio::spawn(async move { (connection.recv().await.unwrap(), connection) });
    // The beginning of a frame, a byte at a time and never the whole of it.
    let mut bytes = frame().text("drip").by(Role::Client).bytes();
    let last = bytes.pop().unwrap();
    for byte in bytes {
        sleep(19 * SECOND).await;
        assert_eq!(pings(&far), 0);
        far.says_bytes(vec![byte]);
    }
    sleep(21 * SECOND).await;
    assert_eq!(pings(&far), 1);
    assert!(!receiving.is_finished());
    far.says_bytes(vec![last]);
    let (message, _connection) = receiving.await.unwrap();
    assert_eq!(message, Some("drip".into()));
    sleep(15 * SECOND).await;
    assert_eq!(pings(&far), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_lives_on() {
    let (mut connection, far) = connect(Role::Client, &config());
    let receiving = tokio::spawn(async move { connection.recv().await });
    for _ in 0..20 {
        sleep(20 * SECOND + SECOND).await;
        assert_eq!(pings(&far), 1);
        far.says(frame().pong(""));
        settle().await;
    }
    assert!(!receiving.is_finished());
}

/// Proxies in between give up connections on which nothing goes to and fro for as long as they say.
#[tokio::test(start_paused = true)]
async fn a_short_interval_is_kept_to_with_a_peer_that_answers() {
    let config = config().keepalive(Keepalive::every(SECOND));
    let (mut connection, far) = connect(Role::Client, &config);
    let receiving = tokio::spawn(async move { connection.recv().await });
    for _ in 0..20 {
        sleep(SECOND + SECOND / 100).await;
        assert_eq!(pings(&far), 1);
        far.says(frame().pong(""));
        settle().await;
    }
    assert!(!receiving.is_finished());
}

#[tokio::test(start_paused = true)]
async fn without_grace_it_asks_and_never_concludes() {
    let config = config().keepalive(Keepalive::every(20 * SECOND).grace(None));
    let (connection, far) = connect(Role::Server, &config);
    sleep(20 * SECOND * 50 + SECOND).await;
    assert_eq!(pings(&far), 50);
    assert!(connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn without_keepalive_nothing_is_asked() {
    let (connection, far) = connect(Role::Server, &config().keepalive(None::<Keepalive>));
    sleep(1_000_000 * SECOND).await;
    assert_eq!(pings(&far), 0);
    assert!(connection.is_open());
}

/// In the transport, where a read would find them.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_bytes_lie_unread_in_the_transport_is_not_gone() {
    for role in [Role::Server, Role::Client] {
        let (mut connection, far) = connect(role, &config());
        far.says(frame().text("unread"));
        sleep(1000 * SECOND).await;
        assert!(connection.is_open());
        assert_eq!(connection.recv().await.unwrap(), Some("unread".into()));
        // Now that it has been read, silence is silence.
        let read = Instant::now();
        assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::PeerUnresponsive);
        assert!(read.elapsed() <= 50 * SECOND);
    }
}

/// In this end's own buffer: read, and not received by the program.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_messages_are_read_and_not_received_is_not_gone() {
    let early =
        towline_kit::join([frame().text("one"), frame().text("two")].map(|f| f.by(Role::Client)));
    for early in [Some(early), None] {
        let is_early = early.is_some();
        let (mut connection, far) =
            connect_with_early(Role::Server, &config(), early.unwrap_or_default().into());
        if !is_early {
            far.says_all([frame().text("one"), frame().text("two")]);
        }
        assert_eq!(connection.recv().await.unwrap(), Some("one".into()));
        sleep(1000 * SECOND).await;
        assert!(connection.is_open(), "early: {is_early}");
        assert_eq!(connection.recv().await.unwrap(), Some("two".into()));
    }
}

/// What came behind the handshake and nobody has looked at yet is unread, too.
#[tokio::test(start_paused = true)]
async fn a_peer_that_spoke_behind_the_handshake_is_not_gone() {
    let early = frame().text("early").by(Role::Client).bytes().into();
    let (mut connection, _far) = connect_with_early(Role::Server, &config(), early);
    sleep(1000 * SECOND).await;
    assert!(connection.is_open());
    assert_eq!(connection.recv().await.unwrap(), Some("early".into()));
}

/// A look for unread bytes must not cost the receiver its wake-up.
#[tokio::test(start_paused = true)]
async fn who_waits_to_receive_is_woken_after_keepalive_has_looked() {
    let config = config().keepalive(Keepalive::every(SECOND).grace(None));
    let (mut connection, far) = connect(Role::Server, &config);
    let receiving = tokio::spawn(async move { connection.recv().await });
    sleep(10 * SECOND).await;
    far.says(frame().text("at last"));
    assert_eq!(receiving.await.unwrap().unwrap(), Some("at last".into()));
}

/// In the kernel's buffers, which are asked and not read. Time is real here, and nothing is
/// measured: the keepalive is as short as can be, and the ping's arrival says that it ran.
#[tokio::test]
async fn a_peer_whose_bytes_lie_unread_in_the_kernel_is_not_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, (mut far, _)) = (near.unwrap(), far.unwrap());
    far.write_all(&frame().text("unread").by(Role::Client).bytes()).await.unwrap();
    let keepalive = Keepalive::every(Duration::from_millis(10)).grace(Duration::from_millis(10));
    let config = Config::server().keepalive(keepalive);
    let mut connection = Connection::from_stream(near, Role::Server, &config, Vec::new().into());
    let mut pings = [0; 20];
    let read = tokio::io::AsyncReadExt::read_exact(&mut far, &mut pings);
    tokio::time::timeout(60 * SECOND, read).await.expect("pings").unwrap();
    assert_eq!(pings[..2], [0x89, 8]);
    assert!(connection.is_open());
    assert_eq!(connection.recv().await.unwrap(), Some("unread".into()));
    assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::PeerUnresponsive);
}

/// All of them at once: none is skipped because so many others are looked at in the same moment.
#[tokio::test(start_paused = true)]
async fn of_many_peers_whose_bytes_lie_unread_none_is_gone() {
    let mut server = Server::builder().config(config()).auto_accept(true).build();
    let mut connections = Vec::new();
    let mut fars = Vec::new();
    for _ in 0..500 {
        let (near, mut far) = tokio::io::duplex(4096);
        server.serve(near, None);
        far.write_all(
            b"GET / HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
              sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await
        .unwrap();
        connections.push(server.next_connection().await.unwrap());
        far.write_all(&frame().text("unread").by(Role::Client).bytes()).await.unwrap();
        fars.push(far);
    }
    sleep(100 * SECOND).await;
    let open = connections.iter().filter(|connection| connection.is_open()).count();
    assert_eq!(open, 500);
}

#[tokio::test(start_paused = true)]
async fn the_close_timeout_runs_though_nobody_receives() {
    let config = config().close_timeout(3 * SECOND);
    let (connection, _far) = connect(Role::Client, &config);
    let began = Instant::now();
    connection.start_close(CloseCode::NORMAL, "").unwrap();
    let closed = connection.sender().wait_closed().await;
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(closed.cause(), CloseCause::CloseTimeout);
}

/// A ping that can't be written for a peer that stopped reading and is silent is no reason to
/// wait for longer.
#[tokio::test(start_paused = true)]
async fn a_peer_that_neither_reads_nor_speaks_is_gone() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls();
    connection.send(vec![0; 100_000]).await.unwrap();
    let opened = Instant::now();
    let closed = connection.sender().wait_closed().await;
    assert_eq!(closed.cause(), CloseCause::PeerUnresponsive);
    assert_eq!(opened.elapsed().as_secs(), 30);
}

/// A transport that holds back what it has taken is not a peer that takes nothing.
#[tokio::test(start_paused = true)]
async fn who_has_taken_all_is_not_gone_though_a_flush_takes_long() {
    for role in [Role::Server, Role::Client] {
        for (keepalive, is_let_through) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let what = format!("{role:?}, keepalive: {keepalive}, let through: {is_let_through}");
            let mut config = config().send_timeout(60 * SECOND);
            if !keepalive {
                config = config.keepalive(None::<Keepalive>);
            }
            let (mut connection, far) = connect(role, &config);
            far.holds_back();
            connection.send("one").await.unwrap();
            sleep(SECOND).await;
            if is_let_through {
                far.lets_through();
            }
            for _ in 0..7 {
                sleep(10 * SECOND).await;
                far.says(frame().text("I am here"));
                assert!(connection.recv().await.unwrap().is_some(), "{what}");
            }
            // An answer that is queued while there is more to receive, and written later.
            far.says_all([frame().text("another"), frame().text("one more")]);
            assert!(connection.recv().await.unwrap().is_some(), "{what}");
            connection.send("two").await.unwrap();
            settle().await;
            assert!(connection.recv().await.unwrap().is_some(), "{what}");
            sleep(SECOND).await;
            assert!(connection.is_open(), "{what}");
            far.lets_through();
            connection.flushed().await;
            let heard: Vec<_> = far.hears().into_iter().map(|heard| heard.payload).collect();
            assert_eq!(heard, [b"one", b"two"], "{what}");
        }
    }
}

/// Deadlines belong to the runtime that a connection is on: that another one, on which a client
/// was used before, is gone or asleep is no reason to miss them.
#[test]
fn deadlines_of_a_client_that_is_used_on_several_runtimes_are_kept_on_each() {
    let client = towline::Client::new().config(config());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let connect = async || {
        let (near, mut silent) = tokio::io::duplex(4096);
        let answering = async {
            let request = head(&mut silent).await;
            silent.write_all(&accepts(&request, "")).await.unwrap();
        };
        let (client, ()) = tokio::join!(client.connect_over(near, "ws://h/"), answering);
        (client.unwrap(), silent)
    };
    let asleep = runtime();
    let kept = asleep.block_on(connect());
    let gone = runtime();
    let lost = gone.block_on(connect());
    drop(gone);
    drop(lost);
    runtime().block_on(async {
        let (client, _silent) = connect().await;
        let sender = client.sender();
        let closed = tokio::time::timeout(100 * SECOND, sender.wait_closed()).await;
        assert_eq!(closed.expect("in time").cause(), CloseCause::PeerUnresponsive);
    });
    drop(kept);
}
