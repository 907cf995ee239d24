//! Promise 4: what was sent reaches the transport, at the latest, when the sending task next
//! yields, without a flush. Until then it is batched: replies to messages which arrived together
//! leave together.

use std::future::pending;

use futures_util::FutureExt as _;
use towline::{Config, Event, Message, Opcode, Role};
use towline_kit::frame;

use crate::ends;
use crate::wire::{Call, connect, connect_with_early, settle};

fn echo(mut connection: towline::Connection) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(message) = connection.recv().await.unwrap() {
            connection.send(message).await.unwrap();
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_lone_message_costs_one_read_and_one_write() {
    for role in [Role::Server, Role::Client] {
        let (connection, far) = connect(role, &Config::server());
        let echoing = echo(connection);
        settle().await;
        far.calls();
        for round in 0..5 {
            far.says(frame().text("hi"));
            settle().await;
            let calls = far.calls();
            let [Call::Read(_), Call::Write(_), Call::ReadPending] = calls[..] else {
                panic!("round {round}: {calls:?}")
            };
            assert_eq!(far.hears().len(), 1);
        }
        echoing.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn replies_to_messages_of_one_read_leave_in_one_write() {
    for role in [Role::Server, Role::Client] {
        let (connection, far) = connect(role, &Config::server());
        let echoing = echo(connection);
        settle().await;
        for round in 0..3 {
            far.calls();
            far.says_all((0..64).map(|index| frame().text(format!("message {index}"))));
            settle().await;
            let calls = far.calls();
            let [Call::Read(_), Call::Write(_), Call::ReadPending] = calls[..] else {
                panic!("round {round}: {calls:?}")
            };
            assert_eq!(far.hears().len(), 64);
        }
        echoing.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn replies_by_split_halves_leave_in_one_write() {
    let (connection, far) = connect(Role::Server, &Config::server());
    let (sender, mut receiver) = connection.split();
    let echoing = tokio::spawn(async move {
        while let Some(message) = receiver.recv().await.unwrap() {
            sender.send(message).await.unwrap();
        }
    });
    settle().await;
    far.calls();
    far.says_all((0..64).map(|_| frame().text("hi")));
    settle().await;
    assert_eq!((far.writes().len(), far.hears().len()), (1, 64));
    echoing.abort();
}

#[tokio::test(start_paused = true)]
async fn replies_to_what_came_behind_the_handshake_leave_in_one_write() {
    let early = (0..10).map(|_| frame().text("hi").by(Role::Client));
    let early = towline_kit::join(early).into();
    let (connection, far) = connect_with_early(Role::Server, &Config::server(), early);
    let echoing = echo(connection);
    settle().await;
    assert_eq!((far.writes().len(), far.hears().len()), (1, 10));
    echoing.abort();
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_sends_a_thousand_messages_makes_few_large_writes() {
    let (connection, far) = connect(Role::Server, &Config::server());
    for _ in 0..1000 {
        connection.send(vec![1; 200]).await.unwrap();
    }
    settle().await;
    assert_eq!(far.hears().len(), 1000);
    let writes = far.writes();
    assert!(writes.len() <= 6, "{writes:?}");
}

/// Whatever it then waits for: nothing is left behind.
#[tokio::test(start_paused = true)]
async fn what_was_sent_leaves_when_the_sending_task_yields() {
    for role in [Role::Server, Role::Client] {
        let (connection, far) = connect(role, &Config::server());
        let sending = tokio::spawn(async move {
            connection.send("one").await.unwrap();
            connection.send("two").await.unwrap();
            connection.send_frame(towline::Frame::text("three")).await.unwrap();
            connection.try_send("four").unwrap();
            connection.ping("five").await.unwrap();
            pending::<()>().await;
            drop(connection);
        });
        settle().await;
        let heard = far.hears();
        let texts: Vec<_> = heard.iter().map(|heard| heard.text()).collect();
        assert_eq!(texts, ["one", "two", "three", "four", "five"]);
        sending.abort();
    }
}

/// Split, and nobody ever receives.
#[tokio::test(start_paused = true)]
async fn each_message_of_a_sender_whose_receiver_is_idle_leaves() {
    let (connection, far) = connect(Role::Server, &Config::server());
    let (sender, _receiver) = connection.split();
    for round in 0..10 {
        sender.send("alone").await.unwrap();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(far.hears().len(), 1, "round {round}");
    }
}

/// Messages left unread in the buffer don't hold back an answer to the first of them.
#[tokio::test(start_paused = true)]
async fn an_answer_leaves_although_more_has_come_and_is_not_received() {
    let (mut connection, far) = connect(Role::Server, &Config::server());
    far.says_all([frame().text("one"), frame().text("two"), frame().text("three")]);
    let answering = tokio::spawn(async move {
        connection.recv().await.unwrap();
        connection.send("answer").await.unwrap();
        pending::<()>().await;
        drop(connection);
    });
    settle().await;
    assert_eq!(far.hears().len(), 1);
    answering.abort();
}

#[tokio::test(start_paused = true)]
async fn a_pong_leaves_although_the_program_goes_on_to_something_else() {
    for behind in [None, Some("unread")] {
        let (mut connection, far) = connect(Role::Server, &Config::server());
        far.says_all(
            [Some(frame().ping("?")), behind.map(|text| frame().text(text))].into_iter().flatten(),
        );
        let receiving = tokio::spawn(async move {
            assert_eq!(connection.next_event().await.unwrap(), Some(Event::Ping("?".into())));
            pending::<()>().await;
            drop(connection);
        });
        settle().await;
        let heard = far.hears();
        assert_eq!((heard.len(), heard[0].opcode()), (1, Opcode::Pong), "behind: {behind:?}");
        receiving.abort();
    }
}

/// Among so many pings, the task has used up its budget, and whoever received gives up.
#[tokio::test(start_paused = true)]
async fn a_pong_leaves_although_receiving_was_broken_off_among_pings() {
    let config = Config::server().max_received_control_rate(None);
    let (mut connection, far) = connect(Role::Server, &config);
    far.says_all((0..2000).map(|_| frame().ping("?")));
    let receiving = tokio::spawn(async move {
        for _ in 0..127 {
            tokio::task::coop::consume_budget().await;
        }
        assert!(connection.recv().now_or_never().is_none());
        pending::<()>().await;
        drop(connection);
    });
    settle().await;
    assert!(far.unread() == 0 && far.hears().iter().any(|heard| heard.opcode() == Opcode::Pong));
    receiving.abort();
}

/// A transport that becomes ready later is written to later, with nobody's help.
#[tokio::test(start_paused = true)]
async fn what_a_full_transport_does_not_take_leaves_when_it_does() {
    let (connection, far) = connect(Role::Server, &Config::server());
    far.stalls();
    connection.send(vec![9; 100_000]).await.unwrap();
    let (sender, _receiver) = connection.split();
    for _ in 0..1000 {
        far.takes(101);
        settle().await;
    }
    assert_eq!(far.hears().len(), 100_000usize.div_ceil(16 << 10));
    assert_eq!(sender.queued_bytes(), 0);
}

/// From a thread that is no task of any runtime.
#[test]
fn what_a_thread_sends_leaves() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (connection, far) = runtime.block_on(async { connect(Role::Server, &Config::server()) });
    let sender = connection.sender();
    std::thread::spawn(move || {
        for index in 0..100 {
            sender.try_send(format!("{index}")).unwrap();
        }
    })
    .join()
    .unwrap();
    runtime.block_on(settle());
    assert_eq!(far.hears().len(), 100);
}

async fn ping_pong_over_tcp(connections: usize, rounds: usize) {
    let mut server = ends::server().bind("127.0.0.1:0").await.unwrap();
    let url = format!("{}://{}/", ends::SCHEME, server.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            echo(request.accept().await.unwrap());
        }
    });
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let url = url.clone();
            tokio::spawn(async move {
                let connection = ends::client().connect(&url).await.unwrap();
                let (sender, mut receiver) = connection.split();
                for round in 0..rounds {
                    // A burst by this task and another: all of it comes back.
                    let other = sender.clone();
                    let burst = 1 + (round + client) % 5;
                    let sending = tokio::spawn(async move {
                        for _ in 0..burst {
                            other.send("from another task").await.unwrap();
                        }
                    });
                    for _ in 0..burst {
                        sender.send(vec![0; 1 + round * 31 % 3000]).await.unwrap();
                    }
                    for _ in 0..2 * burst {
                        assert!(receiver.recv().await.unwrap().is_some());
                    }
                    sending.await.unwrap();
                }
                drop(sender);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    serving.abort();
}

#[tokio::test]
async fn every_message_is_answered_on_a_single_thread() {
    ping_pong_over_tcp(8, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_is_answered_on_many_threads() {
    ping_pong_over_tcp(8, 200).await;
}

/// Two ends in lock step on many threads: a wake-up that is lost would be the end of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_threads() {
    let pipes =
        (0..8).map(|_| crate::support::pair_with_pipe(&Config::server(), &Config::client(), 61));
    let running: Vec<_> = pipes
        .map(|(server, mut client)| {
            echo(server);
            tokio::spawn(async move {
                let sender = client.sender();
                let sending = tokio::spawn(async move {
                    for index in 0..300usize {
                        sender.send(vec![0; index % 130]).await.unwrap();
                        if index % 3 == 0 {
                            sender.flushed().await;
                        }
                    }
                });
                for index in 0..300 {
                    let message = client.recv().await.unwrap();
                    assert_eq!(message.as_ref().map(Message::len), Some(index % 130));
                }
                sending.await.unwrap();
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
}

/// A pong waits for no program that is busy with what came in the same read.
#[tokio::test(start_paused = true)]
async fn a_pong_leaves_though_its_ping_came_in_one_read_with_a_message() {
    for role in [Role::Server, Role::Client] {
        for pings_first in [true, false] {
            let (mut connection, far) = connect(role, &Config::server());
            let (ping, message) = (frame().ping("?"), frame().text("work"));
            far.says_all(if pings_first { [ping, message] } else { [message, ping] });
            let receiving = tokio::spawn(async move {
                assert_eq!(connection.recv().await.unwrap(), Some(Message::text("work")));
                pending::<()>().await;
                drop(connection);
            });
            settle().await;
            let heard = far.hears();
            assert_eq!(heard.len(), 1, "pings first: {pings_first}");
            assert_eq!((heard[0].opcode(), heard[0].text()), (Opcode::Pong, "?"));
            receiving.abort();
        }
    }
}
