//! Round trips: a ping which waits for its own pong, whatever else the peer says.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout};
use towline::{CloseCode, Config, Connection, ErrorKind, Keepalive, Opcode, Role};
use towline_kit::{Heard, frame};

use crate::support::pair;
use crate::wire::{Far, connect, settle};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn quiet() -> Config {
    Config::server().keepalive(None::<Keepalive>)
}

/// A connection that is received from, and what to ask with.
fn receiving(role: Role) -> (towline::Sender, Far, tokio::task::JoinHandle<()>) {
    let (mut connection, far) = connect(role, &quiet());
    let sender = connection.sender();
    let task = tokio::spawn(async move { while let Ok(Some(_)) = connection.recv().await {} });
    (sender, far, task)
}

fn pings(far: &Far) -> Vec<Vec<u8>> {
    let payload = |heard: Heard| {
        assert_eq!(heard.opcode(), Opcode::Ping);
        heard.payload
    };
    far.hears().into_iter().map(payload).collect()
}

#[tokio::test(start_paused = true)]
async fn each_waits_for_its_own_pong() {
    for role in BOTH {
        let (sender, far, _task) = receiving(role);
        let first = tokio::spawn(sender.round_trip());
        settle().await;
        sleep(SECOND).await;
        let second = tokio::spawn(sender.round_trip());
        settle().await;
        let asked = pings(&far);
        assert_eq!(asked.len(), 2);
        assert_ne!(asked[0], asked[1]);
        sleep(SECOND).await;
        far.says(frame().pong(&asked[0]));
        assert_eq!(first.await.unwrap().unwrap(), 2 * SECOND);
        settle().await;
        assert!(!second.is_finished());
        sleep(3 * SECOND).await;
        far.says(frame().pong(&asked[1]));
        assert_eq!(second.await.unwrap().unwrap(), 4 * SECOND);
        let trip = sender.stats().round_trip.unwrap();
        assert_eq!((trip.last, trip.smoothed), (4 * SECOND, SECOND * 18 / 8));
        assert_eq!(sender.stats().pings_sent, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_answer_only_the_latest_ping() {
    let (sender, far, _task) = receiving(Role::Server);
    let trips: Vec<_> = (0..5).map(|_| tokio::spawn(sender.round_trip())).collect();
    settle().await;
    let asked = pings(&far);
    far.says(frame().pong(&asked[4]));
    for trip in trips {
        assert_eq!(trip.await.unwrap().unwrap(), Duration::ZERO);
    }
    // Also if that is a ping of another kind.
    let trip = tokio::spawn(sender.round_trip());
    settle().await;
    sender.ping("latest").await.unwrap();
    far.says(frame().pong("latest"));
    trip.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn other_pongs_are_no_answer() {
    let (sender, far, _task) = receiving(Role::Client);
    let trip = tokio::spawn(sender.round_trip());
    settle().await;
    let asked = pings(&far).remove(0);
    let mut wrong = asked.clone();
    wrong[7] ^= 3;
    for pong in [&b""[..], b"unsolicited", &wrong, &asked[..7]] {
        far.says(frame().pong(pong));
        settle().await;
        assert!(!trip.is_finished(), "{pong:?}");
    }
    assert_eq!(sender.stats().round_trip, None);
    far.says(frame().pong(&asked));
    trip.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_one_leaves_nothing_and_harms_no_other() {
    let (sender, far, _task) = receiving(Role::Server);
    assert!(sender.round_trip().now_or_never().is_none());
    drop(sender.round_trip());
    settle().await;
    assert_eq!(pings(&far).len(), 1, "one that was never polled has sent none");
    let first = tokio::spawn(sender.round_trip());
    settle().await;
    assert!(timeout(SECOND, sender.round_trip()).await.is_err());
    let asked = pings(&far);
    // The peer answers only the latest, for which nobody waits any more.
    far.says(frame().pong(&asked[1]));
    assert_eq!(first.await.unwrap().unwrap(), SECOND);
    far.says(frame().pong(&asked[0]));
    settle().await;
    assert!(sender.is_open());
}

/// A future that has its answer and is not polled must not keep others busy, or from their own.
#[tokio::test(start_paused = true)]
async fn one_that_is_not_polled_is_no_matter_to_others() {
    let (sender, far, _task) = receiving(Role::Server);
    let mut kept = Box::pin(sender.round_trip());
    assert!((&mut kept).now_or_never().is_none());
    let other = tokio::spawn(sender.round_trip());
    settle().await;
    let asked = pings(&far);
    far.says(frame().pong(&asked[0]));
    settle().await;
    assert!(!other.is_finished());
    sleep(SECOND).await;
    far.says(frame().pong(&asked[1]));
    assert_eq!(other.await.unwrap().unwrap(), SECOND);
    sleep(10 * SECOND).await;
    // The time is that of the pong.
    assert_eq!(kept.await.unwrap(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_ends_with_the_connection() {
    for role in BOTH {
        let (sender, far, _task) = receiving(role);
        let trip = tokio::spawn(sender.round_trip());
        settle().await;
        far.ends();
        assert_eq!(trip.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        let error = sender.round_trip().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);

        let (sender, _far, _task) = receiving(role);
        let trip = tokio::spawn(sender.round_trip());
        settle().await;
        sender.start_close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(trip.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
    // And with the keepalive, of a peer that is gone.
    let config = quiet().keepalive(Keepalive::every(20 * SECOND).grace(10 * SECOND));
    let (connection, _far) = connect(Role::Server, &config);
    let begun = Instant::now();
    connection.round_trip().await.unwrap_err();
    assert_eq!(begun.elapsed(), 30 * SECOND);
}

/// The errors of one that was asked for before `happens`, and of one after it.
async fn errors(config: Config, happens: impl AsyncFn(&Far, &towline::Sender)) -> [String; 2] {
    let (mut connection, far) = connect(Role::Server, &config);
    let sender = connection.sender();
    let _task = tokio::spawn(async move { while let Ok(Some(_)) = connection.recv().await {} });
    let trip = tokio::spawn(sender.round_trip());
    settle().await;
    assert!(!trip.is_finished());
    happens(&far, &sender).await;
    let asked = trip.await.unwrap().unwrap_err();
    settle().await;
    let late = sender.round_trip().await.unwrap_err();
    assert_eq!((asked.kind(), late.kind()), (ErrorKind::Closed, ErrorKind::Closed));
    [asked.to_string(), late.to_string()]
}

/// Whether the ping was sent, why there is no result, and what would help.
#[tokio::test(start_paused = true)]
async fn its_errors_name_the_reason() {
    const ASKED: &str = "no pong was received for the ping of a round trip";
    const LATE: &str = "can't measure a round trip, and no ping was sent";
    let same = |reason: &str| [format!("{ASKED}: {reason}"), format!("{LATE}: {reason}")];

    let closing = errors(quiet(), async |_, sender| {
        sender.start_close(CloseCode::NORMAL, "").unwrap();
    });
    let reason = "this end is closing the connection";
    let expected =
        [format!("{ASKED}: {reason}; close when its result is there"), format!("{LATE}: {reason}")];
    assert_eq!(closing.await, expected);

    let closed = errors(quiet(), async |far, _| far.says(frame().close(1001, "lunch")));
    assert_eq!(closed.await, same("closed by the peer with 1001 (going away) \"lunch\""));

    let ended = errors(quiet(), async |far, _| far.ends());
    assert_eq!(ended.await, same("the transport ended without a close frame"));

    let reset = std::io::ErrorKind::ConnectionReset;
    let failed = errors(quiet(), async |far, _| far.fails(reset));
    assert_eq!(failed.await, same("the transport failed: connection reset"));

    let aborted = errors(quiet(), async |_, sender| sender.abort(CloseCode::NORMAL, ""));
    assert_eq!(aborted.await, same("aborted by this end"));

    let wrong = errors(quiet(), async |far, _| far.says(frame().opcode(3)));
    let wrong = wrong.await;
    assert!(wrong[0].starts_with(&format!("{ASKED}: the peer broke the protocol: ")), "{wrong:?}");
    assert!(wrong[1].starts_with(&format!("{LATE}: the peer broke the protocol: ")), "{wrong:?}");

    let keepalive = Keepalive::every(20 * SECOND).grace(10 * SECOND);
    let silent = errors(quiet().keepalive(keepalive), async |_, _| sleep(31 * SECOND).await);
    let reason = "the peer does not respond (keepalive)";
    let hint = "receive meanwhile, since pongs are found by receiving";
    let expected = [format!("{ASKED}: {reason}; {hint}"), format!("{LATE}: {reason}")];
    assert_eq!(silent.await, expected);

    let stalled = errors(quiet().send_timeout(SECOND), async |far, sender| {
        far.stalls();
        sender.send("stuck").await.unwrap();
        sleep(2 * SECOND).await;
    });
    let reason = "the peer takes nothing of what is sent to it (send_timeout)";
    let expected = [format!("{ASKED}: {reason}; {hint}"), format!("{LATE}: {reason}")];
    assert_eq!(stalled.await, expected);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_borrow_the_connection_or_keep_it_open() {
    let (mut server, mut client) = pair(&quiet(), &quiet());
    let trip = client.round_trip();
    let serving = tokio::spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
        server.closed().unwrap().code()
    });
    client.send("before").await.unwrap();
    // The messages that arrive meanwhile are received as always.
    let (trip, received) = tokio::join!(trip, async {
        let first = client.recv().await.unwrap();
        assert!(client.recv().now_or_never().is_none());
        let more = timeout(SECOND, client.recv()).await;
        assert!(more.is_err());
        first
    });
    trip.unwrap();
    assert_eq!(received, Some("before".into()));
    let pending = client.round_trip();
    drop(client);
    assert_eq!(serving.await.unwrap(), CloseCode::GOING_AWAY);
    assert_eq!(pending.await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_all_have_their_answer() {
    let (mut server, client) = pair(&quiet(), &quiet());
    let (sender, mut receiver) = client.split();
    tokio::spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} });
    tokio::spawn(async move { while let Ok(Some(_)) = server.recv().await {} });
    let trips: Vec<_> = (0..500).map(|_| tokio::spawn(sender.round_trip())).collect();
    for trip in trips {
        trip.await.unwrap().unwrap();
    }
    assert_eq!(sender.stats().pings_sent, 500);
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_room_like_a_ping() {
    let (connection, far) = connect(Role::Server, &quiet().send_high_water_mark(1000));
    far.stalls();
    connection.send(vec![0; 5000]).await.unwrap();
    let mut trip = Box::pin(connection.round_trip());
    assert!((&mut trip).now_or_never().is_none());
    assert_eq!(connection.stats().pings_sent, 0);
    let connection: Connection = connection;
    far.flows();
    settle().await;
    assert!((&mut trip).now_or_never().is_none());
    settle().await;
    assert_eq!(connection.stats().pings_sent, 1);
}
