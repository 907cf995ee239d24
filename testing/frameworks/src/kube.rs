//! kube: `kubectl exec` by the client of kube, with its authentication and its TLS, and without its feature
//! `ws`.

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube_client::Client;
use kube_client::client::Body;
use kube_core::Resource as _;
use kube_core::request::Request;
use kube_core::subresource::AttachParams;
use towline::{CloseCode, Config, Connect, Connection};
use towline_hyper::from_agreed;

/// The subprotocol: each message is the number of a channel and its bytes.
pub const PROTOCOL: &str = "v4.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// What the command has printed, and its status.
#[derive(Debug, Default)]
pub struct Output {
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: Status,
}

/// Connects to a command in a pod.
///
/// # Errors
///
/// If the request fails, or the server does not accept it.
pub async fn attach(client: &Client, pod: &str, command: &[&str]) -> Result<Connection> {
    let pods = Request::new(Pod::url_path(&(), Some(client.default_namespace())));
    let streams = AttachParams::default().stdin(true).stdout(true).stderr(true);
    let mut request = pods.exec(pod, command.iter().copied(), &streams)?.map(Body::from);
    let handshake = Connect::new().protocols([PROTOCOL]).add_to(request.headers_mut())?;
    let mut response = client.send(request).await?;
    let agreed = handshake.verify(&response)?;
    let upgraded = hyper::upgrade::on(&mut response).await?;
    Ok(from_agreed(upgraded, agreed, &Config::client()))
}

/// Runs a command with this input.
///
/// # Errors
///
/// As [`attach`], and if the connection ends before the command.
pub async fn exec(client: &Client, pod: &str, command: &[&str], input: &str) -> Result<Output> {
    let mut connection = attach(client, pod, command).await?;
    connection.send([&[STDIN], input.as_bytes()].concat()).await?;
    let mut output = Output::default();
    while let Some(message) = connection.recv().await? {
        let bytes = message.as_bytes();
        let (channel, bytes) = bytes.split_first().context("a message without a channel")?;
        match *channel {
            STDOUT => output.stdout.extend_from_slice(bytes),
            STDERR => output.stderr.extend_from_slice(bytes),
            STATUS => {
                output.status = serde_json::from_slice(bytes)?;
                connection.close(CloseCode::NORMAL, "").await?;
                return Ok(output);
            }
            other => bail!("channel {other}"),
        }
    }
    bail!("the connection ended before the command")
}
