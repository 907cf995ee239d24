//! Other tasks, dropped futures, and what is left behind: nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use towline::{
    Client, CloseCode, Config, Connection, Dial, DialError, ErrorKind, ReconnectEvent,
    ReconnectHandle, Reconnecting, Retry, Role,
};
use towline_kit::{Heard, frame};

use crate::http::{accepts, head};
use crate::reconnecting::peer::{Does, SECOND, Then, all, client, names, refuses, run};
use crate::wire::settle;

const HOUR: Duration = Duration::from_secs(3600);

/// A client, and the far ends of the streams of its attempts.
fn streams() -> (Reconnecting, mpsc::UnboundedReceiver<DuplexStream>) {
    let (tell, streams) = mpsc::unbounded_channel();
    let reconnecting = Client::new().reconnecting(move |_| {
        let (near, far) = duplex(64 << 10);
        tell.send(far).unwrap();
        async move { Ok(Dial::over(near, "ws://h/")) }
    });
    (reconnecting, streams)
}

async fn accept(far: &mut DuplexStream) {
    let request = head(far).await;
    far.write_all(&accepts(&request, "")).await.unwrap();
}

fn waits_an_hour(reconnecting: Reconnecting) -> Reconnecting {
    reconnecting.retry_if(|_| Retry::After(HOUR))
}

#[tokio::test(start_paused = true)]
async fn a_next_that_is_dropped_loses_neither_the_attempt_nor_the_connection() {
    let (mut reconnecting, mut streams) = streams();
    let server = tokio::spawn(async move {
        let mut far = streams.recv().await.unwrap();
        let request = head(&mut far).await;
        // In pieces, each of which comes to another future.
        for byte in accepts(&request, "") {
            far.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
        (far, streams)
    });
    let mut dropped = 0;
    let connection = loop {
        match timeout(Duration::from_millis(20), reconnecting.next()).await {
            Ok(next) => break next.unwrap().unwrap(),
            Err(_) => dropped += 1,
        }
    };
    assert!(dropped > 100, "{dropped}");
    assert!(connection.is_open());
    // And the connection was not left behind by one of them: the next one waits for its end.
    assert!(timeout(10 * SECOND, reconnecting.next()).await.is_err());
    let (_far, mut streams) = server.await.unwrap();
    assert!(streams.try_recv().is_err(), "there was one attempt");
}

#[tokio::test(start_paused = true)]
async fn a_next_that_is_dropped_does_not_begin_the_delay_again() {
    let (reconnecting, script) = client([Does::HangsUp, Does::HangsUp]);
    let mut reconnecting = reconnecting.retry_if(|_| Retry::After(10 * SECOND));
    let began = Instant::now();
    let connection = loop {
        if let Ok(next) = timeout(SECOND * 3 / 2, reconnecting.next()).await {
            break next.unwrap().unwrap();
        }
    };
    assert_eq!(began.elapsed().as_secs(), 20);
    assert_eq!(script.lock().unwrap().attempts.len(), 3);
    drop(connection);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_cut_short_from_another_task() {
    let (reconnecting, script) = client([Does::HangsUp, refuses(503, "Retry-After: 3600\r\n")]);
    let mut reconnecting = waits_an_hour(reconnecting);
    let handle = reconnecting.handle();
    let mut events = handle.events();
    assert!(!handle.reconnect_now(), "it does not wait");
    let began = Instant::now();
    let cutting = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let ReconnectEvent::Waiting { .. } = event {
                assert!(handle.reconnect_now());
                assert!(handle.network_returned() || handle.reconnect_now());
            }
        }
        handle
    });
    let connection = reconnecting.next().await.unwrap().unwrap();
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(script.lock().unwrap().attempts.len(), 3);
    drop((connection, reconnecting));
    let handle = cutting.await.unwrap();
    assert!(!handle.reconnect_now() && !handle.network_returned());
}

/// Nobody awaits `next` when it is called.
#[tokio::test(start_paused = true)]
async fn a_delay_is_cut_short_while_nobody_waits_and_a_connection_is_not_touched() {
    let (reconnecting, _) = client([Does::HangsUp, Does::Accepts(Then::IsSilent)]);
    let mut reconnecting = waits_an_hour(reconnecting);
    assert!(timeout(SECOND, reconnecting.next()).await.is_err());
    let handle = reconnecting.handle();
    assert!(handle.reconnect_now());
    let connection = timeout(SECOND, reconnecting.next()).await.unwrap().unwrap().unwrap();
    assert!(!handle.reconnect_now() && !handle.network_returned());
    assert!(connection.is_open());
    // What was said while there was nothing to cut is not kept for later.
    drop(connection);
    assert!(timeout(HOUR / 2, reconnecting.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn when_the_network_returns_an_attempt_begins_anew() {
    let (mut reconnecting, mut streams) = streams();
    let handle = reconnecting.handle();
    let began = Instant::now();
    let server = tokio::spawn(async move {
        let mut lost = streams.recv().await.unwrap();
        head(&mut lost).await;
        sleep(SECOND).await;
        assert!(handle.network_returned());
        let mut far = streams.recv().await.unwrap();
        accept(&mut far).await;
        // The first one is given up.
        assert_eq!(lost.read(&mut [0]).await.unwrap(), 0);
        far
    });
    let connection = reconnecting.next().await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 1);
    assert!(connection.is_open());
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_an_attempt_and_a_delay_and_leaves_a_connection() {
    for act in [Does::IsSilent, Does::HangsUp] {
        let (reconnecting, _) = client([act]);
        let mut reconnecting = waits_an_hour(reconnecting);
        let (handle, mut events) = (reconnecting.handle(), reconnecting.events());
        let began = Instant::now();
        let stopping = tokio::spawn(async move {
            sleep(SECOND).await;
            handle.stop();
        });
        assert!(reconnecting.next().await.unwrap().is_none());
        assert!(reconnecting.next().await.unwrap().is_none());
        assert_eq!(began.elapsed().as_secs(), 1);
        stopping.await.unwrap();
        let events = all(&mut events).await;
        assert!(matches!(events.last(), Some(ReconnectEvent::Ended { why: None })), "{events:?}");
    }
    let (mut reconnecting, _) = client([Does::Accepts(Then::IsSilent)]);
    let connection = reconnecting.next().await.unwrap().unwrap();
    reconnecting.handle().stop();
    assert!(reconnecting.next().await.unwrap().is_none());
    assert!(connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_the_connection_that_exists() {
    let (mut reconnecting, mut streams) = streams();
    let handle = reconnecting.handle();
    let server = tokio::spawn(async move {
        let mut far = streams.recv().await.unwrap();
        accept(&mut far).await;
        let mut bytes = vec![0; 32];
        let count = far.read(&mut bytes).await.unwrap();
        let (heard, _) = Heard::first_of(&bytes[..count]).unwrap();
        far.write_all(&frame().close(1001, "").bytes()).await.unwrap();
        heard.close()
    });
    let mut connection = reconnecting.next().await.unwrap().unwrap();
    let closing = tokio::spawn(async move {
        sleep(SECOND).await;
        let error = handle.shutdown(CloseCode::ABNORMAL, "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSend);
        handle.shutdown(CloseCode::GOING_AWAY, "bye").unwrap();
    });
    assert!(connection.recv().await.unwrap().is_none());
    assert!(reconnecting.next().await.unwrap().is_none());
    let heard = server.await.unwrap();
    assert_eq!((heard.code(), heard.reason()), (CloseCode::GOING_AWAY, "bye"));
    closing.await.unwrap();
}

/// The wish comes when the attempt has failed and the delay has not begun: to the handle, the client is
/// still connecting, and it has promised to begin anew.
#[tokio::test(start_paused = true)]
async fn the_network_returns_between_an_attempt_and_its_delay() {
    let (reconnecting, script) = client([Does::HangsUp, Does::HangsUp]);
    let handle = reconnecting.handle();
    let mut is_first = true;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut reconnecting = reconnecting.retry_if(move |_| {
        if std::mem::take(&mut is_first) {
            tell.send(handle.network_returned()).unwrap();
        }
        Retry::After(HOUR)
    });
    let began = Instant::now();
    reconnecting.next().await.unwrap().unwrap();
    assert_eq!(told.recv().await, Some(true));
    let attempts = &script.lock().unwrap().attempts;
    let begun: Vec<_> = attempts.iter().map(|(_, at)| at.duration_since(began)).collect();
    assert_eq!(begun, [Duration::ZERO, Duration::ZERO, HOUR], "only the first delay is cut short");
}

/// The shutdown finds no connection to close, and the client has not looked yet: the connection that is
/// made then must not stay open, nor be handed out.
#[tokio::test(start_paused = true)]
async fn a_shutdown_between_attempts_closes_the_connection_that_is_made_then() {
    for shuts_down in [true, false] {
        let mut ends = Some(duplex(64 << 10));
        let (tell, mut told) = mpsc::unbounded_channel();
        let (hand, mut handed) = mpsc::unbounded_channel::<ReconnectHandle>();
        let mut reconnecting = Client::new().reconnecting(move |_| {
            let (near, far) = ends.take().unwrap();
            let handle = handed.try_recv().unwrap();
            let tell = tell.clone();
            async move {
                let (config, early) = (Config::client(), bytes::Bytes::new());
                let connection = Connection::from_stream(near, Role::Client, &config, early);
                match shuts_down {
                    true => handle.shutdown(CloseCode::GOING_AWAY, "bye").unwrap(),
                    false => handle.stop(),
                }
                tell.send(far).unwrap();
                Ok(connection)
            }
        });
        hand.send(reconnecting.handle()).unwrap();
        assert!(reconnecting.next().await.unwrap().is_none());
        let mut far = told.recv().await.unwrap();
        let mut bytes = vec![0; 32];
        let count = far.read(&mut bytes).await.unwrap();
        let (heard, _) = Heard::first_of(&bytes[..count]).expect("it is closed");
        assert_eq!(heard.close().code(), CloseCode::GOING_AWAY);
        assert!(reconnecting.next().await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_client_that_is_dropped() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    // During an attempt.
    let (mut reconnecting, mut streams) = streams();
    let mut events = reconnecting.events();
    assert!(timeout(SECOND, reconnecting.next()).await.is_err());
    assert_eq!(tasks(), before);
    let mut far = streams.recv().await.unwrap();
    drop(reconnecting);
    let mut request = String::new();
    far.read_to_string(&mut request).await.unwrap();
    assert!(request.starts_with("GET / "), "{request}");
    assert!(streams.recv().await.is_none(), "the function is dropped");
    assert_eq!(names(&all(&mut events).await), ["connecting 1", "ended"]);
    // During a delay.
    let (reconnecting, _) = client([Does::HangsUp]);
    let mut reconnecting = waits_an_hour(reconnecting);
    assert!(timeout(SECOND, reconnecting.next()).await.is_err());
    settle().await;
    assert_eq!(tasks(), before);
    drop(reconnecting);
    // While there is a connection, which is the program's.
    let (mut reconnecting, script) = client([Does::Accepts(Then::Ends(HOUR))]);
    let mut connection = reconnecting.next().await.unwrap().unwrap();
    drop(reconnecting);
    assert!(connection.is_open());
    assert!(connection.recv().await.is_err());
    assert_eq!(script.lock().unwrap().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_are_bounded_and_tell_how_many_were_missed() {
    let mut attempts = 0;
    let mut reconnecting = Client::new().reconnecting(move |_| {
        attempts += 1;
        async move {
            match attempts {
                ..500 => Err(DialError::retry("not yet")),
                _ => Err::<&str, _>(DialError::fatal("never")),
            }
        }
    });
    let mut slow = reconnecting.events();
    assert!(reconnecting.next().await.is_err());
    let events = all(&mut slow).await;
    let Some(ReconnectEvent::Missed(missed)) = events.first() else { panic!("{events:?}") };
    // Two for each attempt.
    assert_eq!(usize::try_from(*missed).unwrap() + events.len() - 1, 1000);
    assert_eq!(names(&events).last().unwrap(), "gave up");
    assert!(events.len() <= 65, "{}", events.len());
    assert!(reconnecting.events().next().await.is_none(), "there will be no more");
}

/// Every attempt is independent of others: a thousand clients of a server that restarts.
#[tokio::test(start_paused = true)]
async fn a_thousand_clients_do_not_return_to_a_server_all_at_once() {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..1000 {
        let attempts = attempts.clone();
        tasks.push(tokio::spawn(async move {
            let (mut reconnecting, script) =
                client([Does::Accepts(Then::Closes(1012, 2 * SECOND)), refuses(401, "")]);
            run(&mut reconnecting).await.end.unwrap_err();
            let second = script.lock().unwrap().attempts[1].1;
            attempts.lock().unwrap().push(second - began);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut tenths = [0; 10];
    for attempt in attempts.lock().unwrap().iter() {
        let delay = attempt.saturating_sub(2 * SECOND);
        tenths[(delay.as_millis() / 100).min(9) as usize] += 1;
    }
    // 100 each, with a standard deviation of 9.5.
    assert!(tenths.iter().all(|count| (33..=167).contains(count)), "{tenths:?}");
}

#[test]
fn a_client_and_its_handles_can_be_used_from_any_task() {
    fn is_send<T: Send>(_: T) {}
    fn is_shared<T: Send + Sync + Clone>(_: T) {}
    let mut reconnecting = Client::new().reconnecting(|_| async { Ok("ws://h/") });
    is_shared(reconnecting.handle());
    is_send(reconnecting.next());
    is_send(reconnecting);
}
