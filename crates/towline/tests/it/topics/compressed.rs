//! A message is compressed once, whatever the number of members.

use towline::topics::Topics;
use towline::{Compress, Compression, Config, Connection, Deflate, Keepalive, Outgoing, Server};

use crate::endless::{Bystander, Count};
use crate::http::request;
use crate::topics::topic;
use crate::wire::{Far, wire};

const MEMBERS: usize = 1000;

/// A member that agreed on compression.
async fn member(server: &mut Server, offer: &str) -> (Connection, Far) {
    let (near, far) = wire();
    far.says_bytes(request("/", &[("Sec-WebSocket-Extensions", offer)]).into_bytes());
    server.serve(near, None);
    let connection = server.next_connection().await.unwrap();
    far.forgets_what_it_heard();
    (connection, far)
}

/// 4 KiB of JSON.
fn json() -> String {
    let one = |number: usize| format!("{{\"id\": {number}, \"price\": {}}},", number * 7919 % 1000);
    let mut json: String = (0..).map(one).take(200).collect();
    json.truncate(4096);
    json
}

/// Deflating is counted as work, after which others run: twice as much for this message as all the
/// rest, for each time that it is done.
#[tokio::test(start_paused = true)]
async fn four_kib_of_json_are_deflated_once_for_a_thousand_members() {
    let offer = "permessage-deflate; server_no_context_takeover";
    let deflate = Deflate::server().threshold(1);
    let config = Config::server().keepalive(None::<Keepalive>);
    let config = config.compression(Compression::from(deflate));
    let mut server = Server::builder().config(config).auto_accept(true).build();
    let topics = Topics::new();
    let topic = topic(&topics);
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        let (connection, far) = member(&mut server, offer).await;
        assert!(connection.info().compression.is_some());
        topic.join(&connection).await.unwrap();
        members.push((connection, far));
    }
    let mut turns = Vec::new();
    for compress in [Compress::Never, Compress::Auto] {
        let bystander = Bystander::of(&Count::default());
        tokio::task::yield_now().await;
        let before = bystander.turns();
        let all = topic.stats().delivered + MEMBERS as u64;
        topic.publish(Outgoing::from(json()).compress(compress)).await;
        for _ in 0..100 * MEMBERS {
            if topic.stats().delivered >= all {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(topic.stats().delivered, all);
        turns.push(bystander.turns() - before);
        bystander.most().await;
        for (_, far) in &members {
            let heard = far.hears();
            assert_eq!(heard.len(), 1);
            assert_eq!(heard[0].payload.len() < 2048, compress == Compress::Auto);
        }
    }
    assert!(turns[0] > 10, "{turns:?}");
    assert!(turns[1] <= turns[0] + 2, "{turns:?}");
}
