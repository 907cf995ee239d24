//! Delays, limits, and what the program says about them.

use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use towline::{
    Backoff, Client, CloseCode, Config, DialError, Ending, ErrorKind, ReconnectEvent, Retry,
};

use crate::http::{accepts, header};
use crate::loopback::{Loopback, direct};
use crate::reconnecting::peer::{
    Does, SECOND, Then, client, client_with, closes, delays, names, receive_all, refuses, run,
};

fn after(time: Duration) -> Does {
    Does::Accepts(Then::Ends(time))
}

/// Delays of which the first is at most a second, and each other one almost surely more.
fn steep() -> Backoff {
    let factor = NonZeroU32::new(1_000_000).unwrap();
    Backoff::default().factor(factor).max(1_000_000 * SECOND)
}

/// ezsockets#104: no delay where connecting fails at once.
#[tokio::test(start_paused = true)]
async fn attempts_that_fail_at_once_have_growing_delays_between_them() {
    let (mut reconnecting, script) = client(vec![Does::HangsUp; 20]);
    let outcome = run(&mut reconnecting).await;
    let delays = delays(&outcome.events);
    assert_eq!(delays.len(), 20);
    for (delay, ceiling) in delays.iter().zip([1, 2, 4, 8, 16].into_iter().chain([30; 15])) {
        assert!(*delay <= ceiling * SECOND, "{delays:?}");
    }
    // A mean of 15 s each.
    assert!(delays[5..].iter().sum::<Duration>() > 60 * SECOND, "{delays:?}");
    let attempts = &script.lock().unwrap().attempts;
    for (pair, delay) in attempts.windows(2).zip(&delays) {
        let waited = pair[1].1.duration_since(pair[0].1);
        // Timers have a resolution of 1 ms.
        assert!(waited >= *delay && waited <= *delay + SECOND / 100, "{waited:?}, not {delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_flaps_every_second_never_resets_the_delay() {
    let (reconnecting, script) = client(vec![after(SECOND); 6]);
    let outcome = run(&mut reconnecting.backoff(steep())).await;
    let delays = delays(&outcome.events);
    assert_eq!(delays.len(), 6);
    assert!(delays[0] <= SECOND, "{delays:?}");
    // The chance that the first of these is a second is one in a million, and so on.
    assert!(delays[1..].iter().all(|delay| *delay > SECOND), "{delays:?}");
    let numbers: Vec<_> =
        script.lock().unwrap().attempts.iter().map(|(attempt, _)| attempt.number()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
}

/// However late the program asks for the next one: its own time is not the connection's.
#[tokio::test(start_paused = true)]
async fn a_program_that_is_slow_to_ask_makes_no_connection_stable() {
    let (reconnecting, script) = client(vec![after(SECOND); 3]);
    let mut reconnecting = reconnecting.backoff(steep());
    for number in 1..=3 {
        let connection = reconnecting.next().await.unwrap().unwrap();
        assert_eq!(script.lock().unwrap().attempts.last().unwrap().0.number(), number);
        receive_all(connection).await;
        tokio::time::sleep(600 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stable_connection_resets_the_delay_and_the_count() {
    let acts = [Does::HangsUp, Does::HangsUp, after(61 * SECOND), after(61 * SECOND)];
    // This server answers no pings.
    let (reconnecting, script) = client_with(Config::client().keepalive(None), acts);
    let outcome = run(&mut reconnecting.backoff(steep())).await;
    let delays = delays(&outcome.events);
    assert!(delays[0] <= SECOND && delays[1] > SECOND, "{delays:?}");
    assert!(delays[2] <= SECOND && delays[3] <= SECOND, "{delays:?}");
    let attempts = &script.lock().unwrap().attempts;
    let numbers: Vec<_> = attempts.iter().map(|(attempt, _)| attempt.number()).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 1]);
    assert!(attempts.iter().skip(1).all(|(attempt, _)| !attempt.is_first()));
}

/// A delay for one answer, with the bounds of the jitter that is added.
async fn delay_for(status: u16, headers: &str) -> Duration {
    let (mut reconnecting, _) = client([refuses(status, headers)]);
    delays(&run(&mut reconnecting).await.events)[0]
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_the_least_delay_in_both_its_forms() {
    for (status, headers, least) in [
        (503, "Retry-After: 30\r\n", 30),
        (429, "Retry-After: 7\r\n", 7),
        (307, "Location: /other\r\nRetry-After: 9\r\n", 9),
        (
            503,
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n",
            60,
        ),
        // In the past, or no delay at all.
        (503, "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", 0),
        (503, "Retry-After: soon\r\n", 0),
        // Capped.
        (503, "Retry-After: 100000\r\n", 3600),
        (503, "Retry-After: 99999999999999999999999\r\n", 3600),
    ] {
        let delay = delay_for(status, headers).await;
        assert!(delay >= least * SECOND && delay <= (least + 1) * SECOND, "{headers}: {delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_are_told_to_wait_do_not_return_all_at_once() {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(delay_for(503, "Retry-After: 30\r\n").await);
    }
    all.sort_unstable();
    assert!(all[19] - all[0] > SECOND / 4, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_attempts_names_itself_and_the_last_failure() {
    let (reconnecting, script) = client(vec![refuses(503, ""); 9]);
    let backoff = Backoff::default().max_attempts(NonZeroU32::new(3));
    let outcome = run(&mut reconnecting.backoff(backoff)).await;
    let error = outcome.end.unwrap_err();
    assert_eq!(script.lock().unwrap().attempts.len(), 3);
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status().as_u16(), 503);
    let text = error.to_string();
    assert!(text.starts_with("gave up after 3 attempts (max_attempts): "), "{text}");
    assert_eq!(names(&outcome.events).last().unwrap(), "gave up");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_time_ends_delays_and_attempts() {
    let began = Instant::now();
    let (reconnecting, _) = client(vec![refuses(503, "Retry-After: 20\r\n"); 9]);
    let backoff = Backoff::default().give_up_after(50 * SECOND);
    let error = run(&mut reconnecting.backoff(backoff.clone())).await.end.unwrap_err();
    assert!(error.to_string().starts_with("gave up, as the next attempt, in "), "{error}");
    // It does not wait for an attempt that it would not make.
    assert!((40..=43).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());

    let began = Instant::now();
    let (reconnecting, _) = client(vec![Does::IsSilent; 9]);
    let error = run(&mut reconnecting.backoff(backoff)).await.end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    assert_eq!(began.elapsed().as_secs(), 50);

    // A function that never returns is ended too.
    let mut reconnecting = Client::new()
        .reconnecting(|_| std::future::pending::<Result<&str, DialError>>())
        .backoff(Backoff::default().give_up_after(SECOND));
    let error = reconnecting.next().await.unwrap_err();
    assert!(error.to_string().contains("give_up_after"), "{error}");
}

/// Each of these lasts longer than the limit, and is lost.
#[tokio::test(start_paused = true)]
async fn the_time_of_connections_that_were_not_stable_is_no_time_without_one() {
    let (reconnecting, script) = client(vec![after(25 * SECOND); 3]);
    let backoff = Backoff::default().give_up_after(20 * SECOND);
    run(&mut reconnecting.backoff(backoff.clone())).await.end.unwrap();
    assert_eq!(script.lock().unwrap().attempts.len(), 4);
    // The delays between them do count.
    let (reconnecting, _) = client(vec![after(25 * SECOND); 20]);
    let mut reconnecting =
        reconnecting.backoff(backoff).retry_if(|_| Retry::After(Duration::from_secs(6)));
    let outcome = run(&mut reconnecting).await;
    assert_eq!(outcome.connections, 4);
    assert!(outcome.end.unwrap_err().to_string().contains("give_up_after"));
}

#[tokio::test(start_paused = true)]
async fn the_programs_hook_decides_otherwise() {
    let (reconnecting, script) =
        client([closes(4000), closes(4001), refuses(401, ""), closes(1000), closes(1012)]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let mut reconnecting = reconnecting.retry_if(move |ending| {
        kept.lock().unwrap().push(ending.to_string());
        match ending {
            Ending::Closed(closed) if closed.code() == CloseCode::new(4001) => {
                Retry::After(5 * SECOND)
            }
            Ending::Closed(closed) if closed.code() == CloseCode::SERVICE_RESTART => Retry::No,
            _ => Retry::Yes,
        }
    });
    let outcome = run(&mut reconnecting).await;
    assert_eq!(script.lock().unwrap().attempts.len(), 5);
    assert_eq!(delays(&outcome.events)[1], 5 * SECOND);
    let error = outcome.end.unwrap_err();
    assert_eq!(error.close_code(), Some(CloseCode::SERVICE_RESTART));
    assert!(error.to_string().starts_with("not tried again (retry_if): "), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 5);

    let (reconnecting, script) = client([closes(4000), refuses(503, "")]);
    let error = run(&mut reconnecting.retry_if(|_| Retry::Default)).await.end.unwrap_err();
    assert_eq!(error.close_code(), Some(CloseCode::new(4000)));
    assert_eq!(script.lock().unwrap().attempts.len(), 1);
}

/// Headers that are signed for one attempt, and a token that has expired at the first.
#[tokio::test]
async fn the_request_is_made_anew_for_each_attempt_the_first_one_included() {
    let server = Loopback::new(|request| match header(request, "x-signature") {
        Some("signed 3") => {
            [accepts(request, ""), towline_kit::frame().close(1000, "").bytes()].concat()
        }
        _ => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let server = server.await;
    let url = server.url("/feed");
    let mut reconnecting = direct()
        .header("x-client", "yes")
        .reconnecting(move |attempt| {
            let url = url.clone();
            async move {
                if attempt.number() == 2 {
                    // The token is not there: no attempt is made of this one.
                    return Err(io::Error::other("the token service is busy").into());
                }
                let signature = format!("signed {}", attempt.number());
                let request = Request::get(url).header("x-signature", signature);
                Ok(request.body(())?)
            }
        })
        .backoff(Backoff::default().first(Duration::from_millis(1)))
        .retry_if(|ending| match ending {
            Ending::Failed(error) if error.kind() == ErrorKind::HttpResponse => Retry::Yes,
            _ => Retry::Default,
        });
    let outcome = run(&mut reconnecting).await;
    outcome.end.unwrap();
    assert_eq!(outcome.connections, 1);
    let said = server.said();
    let signatures: Vec<_> = said.iter().map(|said| header(said, "x-signature")).collect();
    assert_eq!(signatures, [Some("signed 1"), Some("signed 3")]);
    assert!(said.iter().all(|said| header(said, "x-client") == Some("yes")));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_function_is_fatal_or_not_as_it_says() {
    // By default it is tried again.
    let mut attempts = 0;
    let mut reconnecting = Client::new().reconnecting(move |_| {
        attempts += 1;
        async move {
            match attempts {
                1 => Err(io::Error::other("busy").into()),
                2 => Err(DialError::retry("still busy")),
                _ => Err::<&str, _>(DialError::fatal("the user has logged out")),
            }
        }
    });
    let outcome = run(&mut reconnecting).await;
    let error = outcome.end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dial);
    assert!(error.to_string().ends_with(": the user has logged out"), "{error}");
    assert_eq!(error.get_ref().unwrap().to_string(), "the user has logged out");
    assert_eq!(delays(&outcome.events).len(), 2);

    // A request that can't be built never can.
    let mut reconnecting = Client::new()
        .reconnecting(|_| async { Ok(Request::get("ws://h/").header("a b", "").body(())?) });
    assert_eq!(reconnecting.next().await.unwrap_err().kind(), ErrorKind::Dial);

    // An error of this crate is judged by its kind.
    let mut reconnecting = Client::new().reconnecting(|_| async {
        let connection = Client::new().connect("ftp://h/").await?;
        Ok(connection)
    });
    assert_eq!(reconnecting.next().await.unwrap_err().kind(), ErrorKind::InvalidUrl);
}

/// A program that makes its connections itself.
#[tokio::test(start_paused = true)]
async fn the_function_can_connect_by_itself() {
    let mut attempts = 0;
    let mut reconnecting = Client::new().reconnecting(move |_| {
        attempts += 1;
        let code = if attempts < 3 { 1012 } else { 1000 };
        async move {
            let (near, far) = tokio::io::duplex(1 << 10);
            tokio::spawn(async move {
                let config = towline::Config::server();
                let role = towline::Role::Server;
                let early = bytes::Bytes::new();
                let mut peer = towline::Connection::from_stream(far, role, &config, early);
                peer.close(CloseCode::new(code), "").await
            });
            let config = towline::Config::client();
            let (role, early) = (towline::Role::Client, bytes::Bytes::new());
            Ok(towline::Connection::from_stream(near, role, &config, early))
        }
    });
    let outcome = run(&mut reconnecting).await;
    outcome.end.unwrap();
    assert_eq!(outcome.connections, 3);
    assert!(matches!(outcome.events.last(), Some(ReconnectEvent::Ended { why: Some(_) })));
}
