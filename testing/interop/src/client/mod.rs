//! The client of the contract: plays scenarios.

mod scenarios;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use towline::{Client, CloseCode, Config, Connection, Message, Tls};

use crate::compression::{self, Settings};
use crate::limits;

/// The time limit of a scenario.
const TIME: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scenario {
    EchoText,
    EchoBinary,
    EchoEmpty,
    EchoLengths,
    FragmentedText,
    FragmentedBinary,
    Ping,
    ServerPing,
    ClientClose,
    ServerClose,
    Reject,
    Subprotocol,
    NoSubprotocol,
    Greeting,
    Concurrent,
    Pipelined,
}

/// Plays scenarios one after the other, and prints the outcome of each. Returns true if all are ok.
pub(crate) async fn play_all(
    scenarios: &[Scenario],
    url: &str,
    compress: Option<Settings>,
    tls: &Tls,
) -> bool {
    let url = url.trim_end_matches('/').to_owned();
    let server = Server { url, compress, tls: tls.clone() };
    let mut all_ok = true;
    for scenario in scenarios {
        let name = scenario.to_possible_value().map_or_else(String::new, |v| v.get_name().into());
        let played = tokio::time::timeout(TIME, scenarios::play(*scenario, &server)).await;
        match played.unwrap_or_else(|_| Err(anyhow::anyhow!("not done after {TIME:?}"))) {
            Ok(()) => println!("ok {name}"),
            Err(error) => {
                println!("FAIL {name}: {}", format!("{error:#}").replace('\n', " "));
                all_ok = false;
            }
        }
    }
    all_ok
}

/// The tested server.
#[derive(Clone)]
struct Server {
    url: String,
    compress: Option<Settings>,
    tls: Tls,
}

impl Server {
    async fn connect(&self, path: &str) -> towline::Result<Connection> {
        self.connect_with(Client::new(), path).await
    }

    async fn connect_with(&self, client: Client, path: &str) -> towline::Result<Connection> {
        let config = compression::with(limits::raise(Config::client()), self.compress);
        let client = client.config(config).tls(self.tls.clone());
        let connection = client.connect(format!("{}{path}", self.url)).await?;
        assert_eq!(
            self.compress.is_some(),
            !connection.extensions().is_empty(),
            "compression was not agreed on, or unasked"
        );
        Ok(connection)
    }
}

/// Sends a message, and checks that the echo equals it.
async fn echo(connection: &mut Connection, message: impl Into<Message>) -> Result<()> {
    let message = message.into();
    connection.send(message.clone()).await?;
    returns(connection, &message).await
}

async fn returns(connection: &mut Connection, message: &Message) -> Result<()> {
    let reply = next(connection).await?;
    ensure!(reply.is_text() == message.is_text(), "text came back as binary, or binary as text");
    let (sent, received) = (message.len(), reply.len());
    ensure!(reply == *message, "{sent} bytes sent, {received} came back, and they differ");
    Ok(())
}

/// Returns the next message, or an error if the connection ends.
async fn next(connection: &mut Connection) -> Result<Message> {
    let message = connection.recv().await?;
    message.with_context(|| format!("{:?} while waiting for a message", connection.closed()))
}

/// Closes with 1000, and checks that the server answers with 1000.
async fn closes_well(connection: Connection) -> Result<()> {
    let code = close(connection, CloseCode::NORMAL, "").await?;
    ensure!(code == CloseCode::NORMAL, "the server answered our close with {code}");
    Ok(())
}

/// Closes, and returns the code of the server's close frame.
async fn close(mut connection: Connection, code: CloseCode, reason: &str) -> Result<CloseCode> {
    let closed = connection.close(code, reason).await?;
    let received =
        closed.received().with_context(|| format!("no close frame was received: {closed}"))?;
    Ok(received.code())
}
