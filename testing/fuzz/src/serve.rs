//! A server on tokio reads a request, and a client an answer, from a transport that says anything.
//!
//! - However the bytes are split, the status of the answer is the same.
//! - The handshake ends, at its deadline at the latest, and nothing is left of it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time;
use towline::{Client, Server};

use crate::response::replace;
use crate::transport::{Scripted, runtime};

/// What a stream of the client's says first: longer than any answer to a head.
const ROOM: usize = 1 << 20;
const LONG: Duration = Duration::from_secs(300);

pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let script_len = usize::from(first >> 1).min(rest.len());
    let (script, bytes) = rest.split_at(script_len);
    if first & 1 == 0 {
        let at_once = answer_of_server(bytes, &[]);
        assert_eq!(answer_of_server(bytes, script), at_once);
    } else {
        let at_once = verdict_of_client(bytes, &[]);
        assert_eq!(verdict_of_client(bytes, script), at_once);
    }
}

/// The status that a server answers with.
fn answer_of_server(bytes: &[u8], script: &[u8]) -> Vec<u8> {
    runtime().block_on(async {
        let mut server = Server::builder().build();
        let (mut client, stream) = tokio::io::duplex(ROOM);
        server.handle().serve(Scripted::new(stream, script, false), None);
        let serve = async {
            while let Some(request) = server.next_request().await {
                let _ = request.accept().await;
            }
        };
        let ask = async {
            client.write_all(bytes).await.expect("room for all");
            client.shutdown().await.expect("an open pipe");
            let mut answer = Vec::new();
            let _ = time::timeout(LONG, client.read_to_end(&mut answer)).await.expect("an end");
            answer
        };
        let answer = tokio::select! {
            answer = ask => answer,
            () = serve => unreachable!("the server is there"),
        };
        assert_eq!(server.handle().connections().len(), 0, "a connection is left");
        status_of(&answer)
    })
}

/// The status of an answer. The reason may quote as much of the head as had come.
fn status_of(answer: &[u8]) -> Vec<u8> {
    answer.split(|byte| *byte == b'\r').next().unwrap_or_default().to_vec()
}

/// What a client makes of such an answer: the kind of its error, or none.
fn verdict_of_client(bytes: &[u8], script: &[u8]) -> Option<String> {
    runtime().block_on(async {
        let (mut server, stream) = tokio::io::duplex(ROOM);
        let connect = Client::new()
            .protocols(["chat"])
            .connect_over(Scripted::new(stream, script, false), "ws://example.com/chat");
        let answer = async {
            let accept = accept_of(&mut server).await;
            let bytes = replace(bytes, b"{ACCEPT}", accept.as_bytes());
            server.write_all(&bytes).await.expect("room for all");
            server.shutdown().await.expect("an open pipe");
        };
        let both = async { tokio::join!(connect, answer).0 };
        let connected = time::timeout(LONG, both).await.expect("an end");
        connected.err().map(|error| error.code().to_owned())
    })
}

/// Reads the request, and returns what its key is answered with.
async fn accept_of(server: &mut DuplexStream) -> String {
    use towline_proto::handshake::{HeadLimits, Offer, parse_request};
    let mut head = Vec::new();
    loop {
        server.read_buf(&mut head).await.expect("a request");
        if let Some((request, _)) = parse_request(&head, &HeadLimits::default()).expect("a head") {
            let offer = Offer::from_request(&request).expect("an offer");
            return offer.key().expect("a key").accept();
        }
    }
}
