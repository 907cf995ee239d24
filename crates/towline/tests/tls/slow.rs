//! Peers that are slow, and programs that are busy: who is alive, and what is received when.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use towline::{CloseCause, Config, Connection, Keepalive, Role};
use towline_kit::frame;

use crate::ends::ENDS;
use crate::wire::connect;

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// A server's and a client's end, over sockets.
async fn sockets(server: &Config, client: &Config) -> (Connection, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    // The kernel's time is not virtual.
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let both = tokio::join!(ENDS.server.accept(far), ENDS.client.connect(near, "localhost"));
    let none = || [].as_slice().into();
    (
        Connection::from_stream(both.0.unwrap(), Role::Server, server, none()),
        Connection::from_stream(both.1.unwrap(), Role::Client, client, none()),
    )
}

/// What the timekeeper has read to see whether there is anything, nobody else hears of.
#[tokio::test(start_paused = true)]
async fn a_message_is_received_though_the_timekeeper_was_the_first_to_read_it() {
    for role in BOTH {
        let config = Config::server().keepalive(None::<Keepalive>);
        let (server, client) = sockets(&config, &config).await;
        let began = Instant::now();
        let (mut receives, sends) = match role {
            Role::Server => (server, client),
            Role::Client => (client, server),
        };
        let receiving = tokio::spawn(async move {
            for _ in 0..100 {
                receives.recv().await.unwrap().unwrap();
            }
        });
        // It looks each 6 s, and each 3 s where there was something.
        for round in 1..=100 {
            sleep_until(began + 3 * SECOND * round).await;
            sends.send("now").await.unwrap();
        }
        timeout(SECOND, receiving).await.expect("it is woken").unwrap();
    }
}

/// A record that is long in coming is a sign of life, byte by byte; and one that stops is none.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_record_is_long_in_coming_is_not_gone() {
    let keepalive = Keepalive::every(20 * SECOND).grace(10 * SECOND);
    let config = Config::server().keepalive(keepalive).send_timeout(None);
    for role in BOTH {
        for receives in [true, false] {
            let (connection, far) = connect(role, &config);
            let (sender, mut receiver) = connection.split();
            let message = frame().binary(vec![7; 1000]).by(far.role()).bytes();
            let ciphertext = far.ciphertext(&message);
            let receiving = tokio::spawn(async move {
                if receives {
                    assert_eq!(receiver.recv().await.unwrap().unwrap().len(), 1000);
                }
                receiver
            });
            for part in ciphertext[..1000].chunks(20) {
                sleep(9 * SECOND).await;
                far.says_ciphertext(part);
                assert!(sender.is_open(), "{role:?}, {receives}");
            }
            if receives {
                far.says_ciphertext(&ciphertext[1000..]);
                receiving.await.unwrap();
                continue;
            }
            // And now it is silent.
            let closed = timeout(45 * SECOND, sender.wait_closed()).await;
            assert_eq!(closed.unwrap().cause(), CloseCause::PeerUnresponsive);
        }
    }
}

/// Over sockets: the program is busy, and the peer wants an answer to its pings.
#[tokio::test(start_paused = true)]
async fn a_program_that_is_busy_is_not_dead_to_its_peer() {
    for busy in BOTH {
        for (unread, idle) in
            (0..4).flat_map(|unread| (0..45).step_by(4).map(move |idle| (unread, idle)))
        {
            let (server, client) = sockets(&Config::server(), &Config::client()).await;
            let ends = match busy {
                Role::Server => [server, client],
                Role::Client => [client, server],
            };
            crate::busy_program::is_borne_with(ends, unread, SECOND * idle).await;
        }
    }
}
