//! A server that dies in each phase: what comes back, and what does not.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use towline::{
    Backoff, Client, CloseCause, CloseCode, Dial, Ending, ErrorKind, Keepalive, ReconnectEvent,
    Reconnecting,
};

use crate::http::accepts;
use crate::loopback::{Loopback, direct, nobody};
use crate::reconnecting::peer::{
    Does, Outcome, SECOND, Then, client, client_with, closes, names, refuses, run,
};

/// Runs a client whose first attempt meets this. Fails unless the second one follows.
async fn comes_back(act: Does) -> Outcome {
    let text = format!("{act:?}");
    let (mut reconnecting, script) = client([act]);
    let outcome = run(&mut reconnecting).await;
    assert!(outcome.end.is_ok(), "{text}: {:?}", outcome.end);
    let attempts = &script.lock().unwrap().attempts;
    assert_eq!(attempts.len(), 2, "{text}");
    let first = &attempts[0].0;
    assert!(first.is_first() && first.number() == 1 && first.last().is_none(), "{text}");
    let second = &attempts[1].0;
    assert!(!second.is_first() && second.number() == 2 && second.last().is_some(), "{text}");
    outcome
}

/// Runs a client whose first attempt meets this. Fails unless it is the last.
async fn gives_up(act: Does) -> Outcome {
    let text = format!("{act:?}");
    let (mut reconnecting, script) = client([act]);
    let outcome = run(&mut reconnecting).await;
    assert!(outcome.end.is_err(), "{text}");
    assert_eq!(script.lock().unwrap().attempts.len(), 1, "{text}");
    assert_eq!(names(&outcome.events).last().unwrap(), "gave up", "{text}");
    // And again, for whoever asks again.
    let again = reconnecting.next().await.unwrap_err();
    let first = outcome.end.as_ref().unwrap_err();
    assert_eq!((again.kind(), again.to_string()), (first.kind(), first.to_string()), "{text}");
    outcome
}

fn last_failure(events: &[ReconnectEvent]) -> &Ending {
    let why = events.iter().rev().find_map(|event| match event {
        ReconnectEvent::Waiting { why, .. } | ReconnectEvent::GaveUp { why } => Some(why),
        _ => None,
    });
    why.unwrap()
}

/// The kind of the error that the last attempt failed with.
fn kind(events: &[ReconnectEvent]) -> ErrorKind {
    match last_failure(events) {
        Ending::Failed(error) => error.kind(),
        other => panic!("{other:?}"),
    }
}

/// The name or the port is found at the third attempt only.
async fn comes_back_from_dialling(bad: Client, url: String, kind: ErrorKind) {
    let server = Loopback::new(|request| {
        [accepts(request, ""), towline_kit::frame().close(1000, "").bytes()].concat()
    });
    let server = server.await;
    let good = server.url("/");
    let mut reconnecting = direct()
        .reconnecting(move |attempt| {
            let bad = Dial::url(&url).client(bad.clone());
            let dial = if attempt.number() < 3 { bad } else { Dial::url(&good) };
            async move { Ok(dial) }
        })
        .backoff(Backoff::default().first(Duration::from_millis(1)));
    let outcome = run(&mut reconnecting).await;
    outcome.end.unwrap();
    assert_eq!(outcome.connections, 1);
    assert_eq!(
        names(&outcome.events),
        [
            "connecting 1",
            "waiting",
            "connecting 2",
            "waiting",
            "connecting 3",
            "connected",
            "lost",
            "ended"
        ]
    );
    assert_eq!(self::kind(&outcome.events), kind);
}

#[tokio::test]
async fn a_name_that_is_not_found_comes_back_at_the_first_attempt_too() {
    let bad = direct().resolver(|_| async { Err(io::Error::other("no network")) });
    comes_back_from_dialling(bad, "ws://feed.example/".to_owned(), ErrorKind::Connect).await;
}

#[tokio::test]
async fn a_port_that_refuses_comes_back_at_the_first_attempt_too() {
    let url = format!("ws://{}/", nobody().await);
    comes_back_from_dialling(direct(), url, ErrorKind::Connect).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_the_stream_before_it_answers_comes_back() {
    let outcome = comes_back(Does::HangsUp).await;
    assert_eq!(kind(&outcome.events), ErrorKind::Handshake);
    let outcome = comes_back(Does::Answers("HTTP/1.1 101 Switching Proto".to_owned())).await;
    assert_eq!(kind(&outcome.events), ErrorKind::Handshake);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_comes_back_after_the_timeout() {
    let began = Instant::now();
    let outcome = comes_back(Does::IsSilent).await;
    assert_eq!(kind(&outcome.events), ErrorKind::HandshakeTimeout);
    assert!((30..=32).contains(&began.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_overloaded_comes_back_and_one_that_refuses_does_not() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let outcome = comes_back(refuses(status, "")).await;
        assert_eq!(kind(&outcome.events), ErrorKind::HttpResponse);
        assert_eq!(names(&outcome.events)[..3], ["connecting 1", "waiting", "connecting 2"]);
    }
    for status in [301, 400, 401, 403, 404, 410] {
        let outcome = gives_up(refuses(status, "")).await;
        assert_eq!(names(&outcome.events), ["connecting 1", "gave up"]);
        let error = outcome.end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpResponse);
        assert_eq!(error.response().unwrap().status().as_u16(), status);
        assert!(error.to_string().starts_with("not tried again: "), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_is_lost_comes_back() {
    for then in [Then::Ends(Duration::ZERO), Then::Ends(5 * SECOND), Then::EndsMidMessage] {
        let outcome = comes_back(Does::Accepts(then)).await;
        assert_eq!(outcome.connections, 2);
        assert_eq!(
            names(&outcome.events),
            [
                "connecting 1",
                "connected",
                "lost",
                "waiting",
                "connecting 2",
                "connected",
                "lost",
                "ended"
            ]
        );
        let Ending::Closed(closed) = last_failure(&outcome.events) else { panic!() };
        assert_eq!(closed.cause(), CloseCause::TransportEnded);
    }
}

/// The heartbeat's loss is told as what it is, and not as a normal close.
#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_found_by_keepalive_and_comes_back() {
    let began = Instant::now();
    let outcome = comes_back(Does::Accepts(Then::IsSilent)).await;
    assert!((30..=32).contains(&began.elapsed().as_secs()));
    let Ending::Closed(closed) = last_failure(&outcome.events) else { panic!() };
    assert_eq!(closed.cause(), CloseCause::PeerUnresponsive);
    assert_eq!(closed.code(), CloseCode::ABNORMAL);
}

#[tokio::test(start_paused = true)]
async fn the_close_code_decides() {
    for code in [1001, 1005, 1011, 1012, 1013, 1014, 3008] {
        assert_eq!(comes_back(closes(code)).await.connections, 2);
    }
    for code in [1002, 1003, 1007, 1008, 1009, 1010, 3000, 4000, 4999] {
        let outcome = gives_up(closes(code)).await;
        assert_eq!(names(&outcome.events), ["connecting 1", "connected", "lost", "gave up"]);
        let error = outcome.end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClosedByPeer);
        assert_eq!(error.close_code(), Some(CloseCode::new(code)));
        assert!(error.to_string().contains(&code.to_string()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_normal_close_of_the_peer_is_the_end() {
    let (mut reconnecting, script) = client([closes(1000)]);
    let outcome = run(&mut reconnecting).await;
    outcome.end.unwrap();
    assert_eq!(names(&outcome.events), ["connecting 1", "connected", "lost", "ended"]);
    assert_eq!(script.lock().unwrap().attempts.len(), 1);
    assert!(reconnecting.next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_protocol_is_not_asked_again() {
    let outcome = gives_up(Does::Accepts(Then::BreaksTheProtocol)).await;
    assert_eq!(outcome.end.unwrap_err().kind(), ErrorKind::PeerViolation);
}

#[tokio::test(start_paused = true)]
async fn what_the_program_set_wrongly_is_not_tried_again() {
    for (url, kind) in [
        ("ftp://h/", ErrorKind::InvalidUrl),
        ("", ErrorKind::InvalidUrl),
        ("ws://h h/", ErrorKind::InvalidUrl),
    ] {
        let mut reconnecting = Client::new().reconnecting(move |_| async move { Ok(url) });
        assert_eq!(reconnecting.next().await.unwrap_err().kind(), kind);
    }
    let client = Client::new().header("sec-websocket-key", "mine");
    let mut reconnecting = client.reconnecting(|_| async { Ok("ws://127.0.0.1:1/") });
    let error = reconnecting.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidHandshakeOption);
}

async fn ends(mut reconnecting: Reconnecting) -> bool {
    let next = timeout(1000 * SECOND, reconnecting.next()).await.unwrap();
    next.unwrap().is_none()
}

#[tokio::test(start_paused = true)]
async fn a_close_and_an_abort_of_the_program_are_the_end() {
    for is_abort in [false, true] {
        let (mut reconnecting, script) = client([Does::Accepts(Then::IsSilent)]);
        let mut connection = reconnecting.next().await.unwrap().unwrap();
        match is_abort {
            true => connection.abort(CloseCode::GOING_AWAY, ""),
            // It is not answered.
            false => drop(connection.close(CloseCode::GOING_AWAY, "").await.unwrap()),
        }
        assert!(ends(reconnecting).await);
        assert_eq!(script.lock().unwrap().attempts.len(), 1);
    }
}

/// A program that has enough of a connection drops it, and asks for the next. That does not wait for the
/// peer's answer to the close.
#[tokio::test(start_paused = true)]
async fn a_connection_that_the_program_drops_is_replaced_without_waiting_for_the_old_one() {
    let (reconnecting, script) = client([Does::Accepts(Then::IsSilent), refuses(401, "")]);
    let mut reconnecting = reconnecting.backoff(Backoff::default().first(Duration::ZERO));
    let connection = reconnecting.next().await.unwrap().unwrap();
    let began = Instant::now();
    let dropping = async {
        tokio::time::sleep(SECOND).await;
        drop(connection);
    };
    let (next, ()) = tokio::join!(reconnecting.next(), dropping);
    assert_eq!(next.unwrap_err().response().unwrap().status().as_u16(), 401);
    assert_eq!(began.elapsed().as_secs(), 1);
    let last = script.lock().unwrap().attempts[1].0.last().unwrap().clone();
    assert!(matches!(last, Ending::Dropped), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn the_configuration_of_the_client_is_that_of_each_connection() {
    let keepalive = Keepalive::every(SECOND).grace(SECOND);
    let config = towline::Config::client().keepalive(keepalive);
    let (mut reconnecting, script) = client_with(config, vec![Does::Accepts(Then::IsSilent); 3]);
    run(&mut reconnecting).await.end.unwrap();
    let attempts = &script.lock().unwrap().attempts;
    let time = attempts[3].1.duration_since(attempts[0].1);
    // Three times two seconds, and delays of at most 1, 2 and 4 s.
    assert!((6..=13).contains(&time.as_secs()), "{time:?}");
}
