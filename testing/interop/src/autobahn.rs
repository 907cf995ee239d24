//! The client of the Autobahn suite's fuzzing server.

use anyhow::{Context as _, Result, bail};
use towline::{Client, CloseCode, Config, Connection, Tls};

use crate::compression::{self, Settings};
use crate::limits;

/// Plays all cases, echoing everything. The suite decides about the verdicts.
pub(crate) async fn run(
    url: &str,
    agent: &str,
    compress: Option<Settings>,
    tls: Tls,
) -> Result<()> {
    let config = compression::with(limits::raise(Config::client()), compress);
    let client = Client::new().config(config).tls(tls);
    let cases = case_count(client.connect(format!("{url}/getCaseCount")).await?).await?;
    let agent: String = form_urlencoded::byte_serialize(agent.as_bytes()).collect();
    for case in 1..=cases {
        let connection = client.connect(format!("{url}/runCase?case={case}&agent={agent}")).await;
        let mut connection = connection.with_context(|| format!("case {case} of {cases}"))?;
        // The fuzzing server judges how the connection ends.
        let _ = echo(&mut connection).await;
        end(connection).await?;
    }
    end(client.connect(format!("{url}/updateReports?agent={agent}")).await?).await?;
    // The server may exit before it answers.
    if let Ok(connection) = client.connect(format!("{url}/stopServer")).await {
        end(connection).await?;
    }
    Ok(())
}

async fn case_count(mut connection: Connection) -> Result<usize> {
    let Some(message) = connection.recv().await? else {
        bail!("the server did not send the number of cases")
    };
    let count = message.as_text().and_then(|text| text.parse().ok());
    end(connection).await?;
    count.with_context(|| format!("{message:?} is not a number of cases"))
}

async fn echo(connection: &mut Connection) -> towline::Result<()> {
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

/// Receives until the server has closed the connection.
async fn end(mut connection: Connection) -> Result<()> {
    while let Ok(Some(_)) = connection.recv().await {}
    connection.close(CloseCode::NORMAL, "").await?;
    Ok(())
}
