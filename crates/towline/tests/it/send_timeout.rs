//! A peer that takes nothing of what is sent to it is ended after the send timeout; one that takes a
//! little now and then is borne with.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use towline::{
    Blame, CloseCause, Config, Connection, ErrorKind, Initiator, Keepalive, Message, Role, Sender,
};
use towline_kit::frame;

use crate::wire::{Far, connect, settle};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn configs() -> [Config; 2] {
    [Config::server(), Config::server().keepalive(None::<Keepalive>)]
}

/// Says something now and then, so that it is alive as far as that goes.
fn talks(far: &std::sync::Arc<Far>) -> tokio::task::JoinHandle<()> {
    let far = far.clone();
    tokio::spawn(async move {
        loop {
            sleep(5 * SECOND).await;
            far.says(frame().text("and another thing"));
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_and_never_reads_is_ended_after_the_send_timeout() {
    for role in BOTH {
        for config in configs() {
            for receives in [true, false] {
                let (mut connection, far) = connect(role, &config);
                let far = std::sync::Arc::new(far);
                let talking = talks(&far);
                far.stalls_behind(&connection.sender()).await;
                connection.send(vec![0; 300_000]).await.unwrap();
                let began = Instant::now();
                let sender = connection.sender();
                let waiting = tokio::spawn(async move { sender.send("waiting").await });
                let flusher = connection.sender();
                let flushing = tokio::spawn(async move { flusher.flushed().await });
                let sender = connection.sender();
                if receives {
                    let error = loop {
                        match connection.recv().await {
                            Ok(message) => assert!(message.is_some()),
                            Err(error) => break error,
                        }
                    };
                    assert_eq!(error.kind(), ErrorKind::SendTimeout);
                    assert_eq!(error.blame(), Blame::Remote);
                }
                let closed = sender.wait_closed().await;
                let after = began.elapsed().as_secs();
                assert!((60..=61).contains(&after), "{role:?}, {receives}: {after} s");
                assert_eq!(closed.cause(), CloseCause::SendTimeout);
                assert_eq!(closed.initiator(), Initiator::Local);
                let error = waiting.await.unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Closed);
                assert_eq!(error.closed().unwrap().cause(), CloseCause::SendTimeout);
                assert_eq!(error.into_message(), Some(Message::text("waiting")));
                flushing.await.unwrap();
                talking.abort();
                drop((connection, sender));
                settle().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_send_timeout_is_what_the_configuration_says() {
    for config in configs() {
        let (connection, far) = connect(Role::Server, &config.clone().send_timeout(7 * SECOND));
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; 100]).await.unwrap();
        let began = Instant::now();
        let closed = connection.sender().wait_closed().await;
        assert_eq!((closed.cause(), began.elapsed().as_secs()), (CloseCause::SendTimeout, 7));
    }
    let never = Config::server().keepalive(None::<Keepalive>).send_timeout(None);
    let (connection, far) = connect(Role::Server, &never);
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; 100]).await.unwrap();
    sleep(10_000 * SECOND).await;
    assert!(connection.is_open());
}

fn fill(sender: Sender) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { while sender.send(vec![0; 10_000]).await.is_ok() {} })
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_little_now_and_then_is_borne_with() {
    for role in BOTH {
        for config in configs() {
            for says in [true, false] {
                let (connection, far) = connect(role, &config);
                let far = std::sync::Arc::new(far);
                let talking = says.then(|| talks(&far));
                far.stalls_behind(&connection.sender()).await;
                let filling = fill(connection.sender());
                let every = if says { 55 } else { 25 };
                for round in 0..30 {
                    sleep(every * SECOND).await;
                    far.takes(1);
                    settle().await;
                    assert!(connection.is_open(), "{role:?}, {says}, round {round}");
                }
                if let Some(talking) = talking {
                    talking.abort();
                }
                connection.abort(towline::CloseCode::NORMAL, "");
                filling.await.unwrap();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_full_once_is_not_the_worse_for_it() {
    let config = Config::server().keepalive(None::<Keepalive>);
    for role in BOTH {
        let (connection, far) = connect(role, &config);
        for round in 0..5 {
            far.stalls_behind(&connection.sender()).await;
            connection.send(vec![0; 300_000]).await.unwrap();
            sleep(59 * SECOND).await;
            far.flows();
            settle().await;
            assert_eq!(connection.queued_bytes(), 0);
            // Nothing is queued: nothing is waited for.
            sleep(1000 * SECOND).await;
            assert!(connection.is_open(), "{role:?}, round {round}");
            connection.send("and it goes on").await.unwrap();
            settle().await;
            assert_eq!(far.hears().last().unwrap().text(), "and it goes on");
        }
        // It counts from the time when it is full anew.
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; 300_000]).await.unwrap();
        let began = Instant::now();
        let closed = connection.sender().wait_closed().await;
        assert_eq!((closed.cause(), began.elapsed().as_secs()), (CloseCause::SendTimeout, 60));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_its_socket_is_ended_after_the_send_timeout() {
    for role in BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let _far = far.unwrap().0;
        let config = Config::server().keepalive(None::<Keepalive>);
        let connection =
            Connection::from_stream(near.unwrap(), role, &config, [].as_slice().into());
        let filling = fill(connection.sender());
        let closed = connection.sender().wait_closed().await;
        assert_eq!(closed.cause(), CloseCause::SendTimeout);
        filling.await.unwrap();
    }
}
