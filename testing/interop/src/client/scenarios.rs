//! The scenarios, in the order of the contract.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use towline::{Client, CloseCode, ErrorKind, Event, Message};

use super::{Scenario, Server, close, closes_well, echo, next, returns};
use crate::fragments;

pub(super) async fn play(scenario: Scenario, server: &Server) -> Result<()> {
    match scenario {
        Scenario::EchoText => echo_text(server).await,
        Scenario::EchoBinary => echo_binary(server).await,
        Scenario::EchoEmpty => echo_empty(server).await,
        Scenario::EchoLengths => echo_lengths(server).await,
        Scenario::FragmentedText => fragmented_text(server).await,
        Scenario::FragmentedBinary => fragmented_binary(server).await,
        Scenario::Ping => ping(server).await,
        Scenario::ServerPing => server_ping(server).await,
        Scenario::ClientClose => client_close(server).await,
        Scenario::ServerClose => server_close(server).await,
        Scenario::Reject => reject(server).await,
        Scenario::Subprotocol => subprotocol(server).await,
        Scenario::NoSubprotocol => no_subprotocol(server).await,
        Scenario::Greeting => greeting(server).await,
        Scenario::Concurrent => concurrent(server).await,
        Scenario::Pipelined => pipelined(server).await,
    }
}

async fn echo_text(server: &Server) -> Result<()> {
    let mut connection = server.connect("/").await?;
    echo(&mut connection, "hello").await?;
    echo(&mut connection, "Grüße, Ἑλλάς, 世界, 👩‍🚀🚢").await?;
    closes_well(connection).await
}

async fn echo_binary(server: &Server) -> Result<()> {
    let mut connection = server.connect("/").await?;
    echo(&mut connection, Vec::from_iter(0..=255)).await?;
    closes_well(connection).await
}

async fn echo_empty(server: &Server) -> Result<()> {
    let mut connection = server.connect("/").await?;
    echo(&mut connection, Message::text("")).await?;
    echo(&mut connection, Message::binary("")).await?;
    closes_well(connection).await
}

async fn echo_lengths(server: &Server) -> Result<()> {
    let mut connection = server.connect("/").await?;
    for length in [1, 125, 126, 127, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537] {
        echo(&mut connection, random(length)?).await.with_context(|| format!("length {length}"))?;
    }
    closes_well(connection).await
}

async fn fragmented_text(server: &Server) -> Result<()> {
    const PIECE: &str = "aé世🚢";
    fragmented(server, Message::text(PIECE.repeat((1_usize << 20).div_ceil(PIECE.len())))).await
}

async fn fragmented_binary(server: &Server) -> Result<()> {
    fragmented(server, random(1 << 20)?.into()).await
}

async fn fragmented(server: &Server, message: Message) -> Result<()> {
    let mut connection = server.connect("/fragmented").await?;
    fragments::send(&connection, message.clone()).await?;
    returns(&mut connection, &message).await?;
    closes_well(connection).await
}

async fn ping(server: &Server) -> Result<()> {
    let mut connection = server.connect("/").await?;
    for payload in [Bytes::from("towline"), random(125)?] {
        connection.ping(payload.clone()).await?;
        loop {
            match connection.next_event().await? {
                Some(Event::Pong(pong)) => break ensure!(pong == payload, "another payload"),
                Some(_) => {}
                None => bail!("{:?} while waiting for a pong", connection.closed()),
            }
        }
    }
    closes_well(connection).await
}

async fn server_ping(server: &Server) -> Result<()> {
    let mut connection = server.connect("/ping?payload=ahoy").await?;
    // The ping is answered while this call waits.
    let text = next(&mut connection).await?;
    ensure!(text == Message::text("pong ahoy"), "{text:?} came");
    closes_well(connection).await
}

async fn client_close(server: &Server) -> Result<()> {
    let id = unique()?;
    let mut connection = server.connect(&format!("/?id={id}")).await?;
    echo(&mut connection, "before").await?;
    let code = close(connection, CloseCode::new(4002), "done ✓").await?.get();
    ensure!([4002, 1000].contains(&code), "the server answered our 4002 with {code}");
    let received = last_close(server, &id).await?;
    ensure!(
        received == json!({ "code": 4002, "reason": "done ✓" }),
        "the server received {received}"
    );
    Ok(())
}

async fn server_close(server: &Server) -> Result<()> {
    let id = unique()?;
    let path = format!("/close?code=4001&reason=bye&id={id}");
    let mut connection = server.connect(&path).await?;
    let end = connection.recv().await;
    let kind = end.as_ref().map_err(towline::Error::kind).err();
    ensure!(kind == Some(ErrorKind::ClosedByPeer), "{end:?} came");
    let closed = connection.close(CloseCode::NORMAL, "").await?;
    ensure!(
        (closed.code().get(), closed.reason(), closed.is_clean()) == (4001, "bye", true),
        "{closed:?}"
    );
    let received = last_close(server, &id).await?;
    ensure!(
        [4001, 1000].map(Value::from).contains(&received["code"]),
        "the server's 4001 was answered with {received}"
    );
    Ok(())
}

async fn reject(server: &Server) -> Result<()> {
    let Err(error) = server.connect("/reject").await else { bail!("it was accepted") };
    let Some(response) = error.response() else { bail!("no HTTP answer: {error}") };
    let reason = response.headers().get("x-websocket-reject-reason");
    ensure!(response.status() == 403, "status {}", response.status());
    ensure!(reason.is_some_and(|reason| reason == "not here"), "reason {reason:?}");
    Ok(())
}

async fn subprotocol(server: &Server) -> Result<()> {
    agrees(server, &["other.v9", "chat.v2", "chat.v1"], Some("chat.v2")).await
}

async fn no_subprotocol(server: &Server) -> Result<()> {
    agrees(server, &["other.v9"], None).await
}

async fn agrees(server: &Server, offered: &[&str], on: Option<&str>) -> Result<()> {
    let client = Client::new().protocols(offered.iter().copied());
    let mut connection = server.connect_with(client, "/").await?;
    ensure!(connection.protocol() == on, "agreed on {:?}", connection.protocol());
    echo(&mut connection, "agreed").await?;
    closes_well(connection).await
}

async fn greeting(server: &Server) -> Result<()> {
    let client = Client::new().header("x-towline-test", "a value");
    let mut connection = server.connect_with(client, "/headers").await?;
    let text = next(&mut connection).await?;
    let headers: Value = serde_json::from_str(text.as_text().context("not a text")?)?;
    ensure!(headers["x-towline-test"] == "a value", "{headers}");
    echo(&mut connection, "and on").await?;
    closes_well(connection).await
}

async fn concurrent(server: &Server) -> Result<()> {
    let mut connecting = JoinSet::new();
    for _ in 0..50 {
        let server = server.clone();
        connecting.spawn(async move { server.connect("/").await });
    }
    let mut connections = Vec::new();
    while let Some(connected) = connecting.join_next().await {
        connections.push(connected??);
    }
    let mut playing = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        playing.spawn(async move {
            echo(&mut connection, format!("connection {number}")).await?;
            closes_well(connection).await
        });
    }
    while let Some(played) = playing.join_next().await {
        played??;
    }
    Ok(())
}

async fn pipelined(server: &Server) -> Result<()> {
    let mut connection = server.connect("/").await?;
    let messages: Vec<_> = (0..1000).map(|n| Message::text(format!("message {n}"))).collect();
    for message in &messages {
        connection.send(message.clone()).await?;
    }
    for message in &messages {
        returns(&mut connection, message).await?;
    }
    closes_well(connection).await
}

/// Returns the close frame that the server received on the connection with this id.
async fn last_close(server: &Server, id: &str) -> Result<Value> {
    let mut connection = server.connect(&format!("/last-close?id={id}")).await?;
    let text = next(&mut connection).await?;
    connection.close(CloseCode::NORMAL, "").await?;
    Ok(serde_json::from_str(text.as_text().context("not a text")?)?)
}

fn unique() -> Result<String> {
    Ok(format!("{:016x}", getrandom::u64()?))
}

fn random(length: usize) -> Result<Bytes> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.into())
}
