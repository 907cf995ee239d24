//! Streams that panic, among others of one server: that is no matter to the others.

use std::time::Duration;

use towline::{CloseCode, Config, Connection, Keepalive, Opcode, Server, ServerHandle};
use towline_kit::frame;

use crate::http::request;
use crate::wire::{Far, settle, wire};

/// Fewer and more than are looked after in one go.
const COUNTS: [usize; 2] = [10, 80];

/// A server with so many connections, of which every third one's stream is going to panic.
struct Fleet {
    server: Server,
    connections: Vec<Connection>,
    fars: Vec<Far>,
}

fn is_broken(index: usize) -> bool {
    index.is_multiple_of(3)
}

async fn fleet(count: usize) -> Fleet {
    let config = Config::server().keepalive(None::<Keepalive>);
    let mut server = Server::builder().config(config).auto_accept(true).build();
    let (mut connections, mut fars) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (near, far) = wire();
        far.says_bytes(request("/", &[]).into_bytes());
        server.serve(near, None);
        connections.push(server.next_connection().await.unwrap());
        far.forgets_what_it_heard();
        fars.push(far);
    }
    for far in fars.iter().step_by(3) {
        far.panics();
    }
    Fleet { server, connections, fars }
}

impl Fleet {
    /// Does this in a task of its own, and returns what came of it.
    async fn does<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        act: impl FnOnce(ServerHandle) -> F,
    ) -> T {
        let acting = tokio::spawn(act(self.server.handle()));
        tokio::time::timeout(Duration::from_secs(60), acting).await.expect("an end").unwrap()
    }

    /// All whose streams don't panic have heard a close frame.
    fn assert_closed(&self) {
        for (index, (connection, far)) in self.connections.iter().zip(&self.fars).enumerate() {
            assert!(!connection.is_open(), "{index}");
            if !is_broken(index) {
                assert_eq!(far.hears()[0].close().code(), CloseCode::GOING_AWAY, "{index}");
            }
        }
    }

    /// Those whose streams don't panic answer a close frame, and end.
    fn peers_answer(&self) {
        for far in &self.fars {
            far.says(frame().close(1001, ""));
            far.ends();
        }
    }

    /// Somebody receives at all of them.
    fn receives(&mut self) {
        for mut connection in self.connections.drain(..) {
            tokio::spawn(
                async move { while connection.recv().await.is_ok_and(|it| it.is_some()) {} },
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_all_others() {
    for count in COUNTS {
        let fleet = fleet(count).await;
        let connections = fleet.server.connections();
        let delivery =
            fleet.does(|_| async move { connections.broadcast("ship ahoy").await }).await;
        settle().await;
        let mut reached = 0;
        for (index, far) in fleet.fars.iter().enumerate().filter(|(index, _)| !is_broken(*index)) {
            let heard = far.hears();
            assert_eq!(heard.len(), 1, "{index} of {count}");
            assert_eq!((heard[0].opcode(), heard[0].text()), (Opcode::Text, "ship ahoy"));
            reached += 1;
        }
        assert!(delivery.sent >= reached, "{} of {reached}", delivery.sent);
        for (index, connection) in fleet.connections.iter().enumerate() {
            assert_eq!(connection.is_open(), !is_broken(index), "{index} of {count}");
        }
        // And those that are left hear the next one.
        let connections = fleet.server.connections();
        assert_eq!(connections.broadcast("once more").await.sent, reached);
    }
}

#[tokio::test(start_paused = true)]
async fn to_close_all_closes_all_others() {
    for count in COUNTS {
        let fleet = fleet(count).await;
        fleet.peers_answer();
        let closing = fleet.does(|server| async move {
            server.close_all(CloseCode::GOING_AWAY, "").await.unwrap()
        });
        assert_eq!(closing.await, count);
        fleet.assert_closed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_all_others() {
    for count in COUNTS {
        for is_received in [false, true] {
            let mut fleet = fleet(count).await;
            if is_received {
                fleet.receives();
                settle().await;
            }
            let shutting_down = fleet.does(|server| async move {
                server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(1)).await.unwrap()
            });
            let shutdown = shutting_down.await;
            assert_eq!(shutdown.connections, count);
            fleet.assert_closed();
            assert!(fleet.server.connections().is_empty());
        }
    }
}
