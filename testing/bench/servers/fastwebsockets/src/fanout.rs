//! Fan-out as users write it: a broadcast channel for each topic and a task for each socket, on hyper.

use std::sync::Arc;

use anyhow::Result;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use towline_bench_serving::fanout::{self, JOINED, Role};
use towline_bench_serving::options::Options;

type Channels = fanout::Channels<(OpCode, Bytes)>;

pub(crate) fn run(options: &Options) -> Result<()> {
    fanout::run(options, Channels::default(), serve)
}

async fn serve(stream: TcpStream, channels: Arc<Channels>) -> Result<()> {
    let service = service_fn(|request| answer(request, channels.clone()));
    let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    Ok(http.with_upgrades().await?)
}

async fn answer(
    mut request: Request<Incoming>,
    channels: Arc<Channels>,
) -> Result<Response<Empty<Bytes>>> {
    let role = Role::of(request.uri().path())?;
    let (response, upgraded) = upgrade(&mut request)?;
    tokio::spawn(attend(upgraded, role, channels));
    Ok(response)
}

async fn attend(upgraded: UpgradeFut, role: Role, channels: Arc<Channels>) -> Result<()> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    match role {
        Role::Member(topic) => {
            let mut published = channels.topic(&topic).subscribe();
            let joined = Payload::Borrowed(JOINED.as_bytes());
            socket.write_frame(Frame::text(joined)).await?;
            loop {
                select! {
                    message = published.recv() => match message {
                        Ok((opcode, payload)) => {
                            let payload = Payload::Borrowed(&payload);
                            socket.write_frame(Frame::new(true, opcode, None, payload)).await?;
                        }
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return Ok(()),
                    },
                    opcode = async { socket.read_frame().await.map(|frame| frame.opcode) } => {
                        if opcode? == OpCode::Close {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Role::Publisher(topic) => {
            let topic = channels.topic(&topic);
            loop {
                let frame = socket.read_frame().await?;
                match frame.opcode {
                    OpCode::Close => return Ok(()),
                    // An error means that there is no member.
                    OpCode::Text | OpCode::Binary => {
                        let _ = topic.send((frame.opcode, Bytes::copy_from_slice(&frame.payload)));
                    }
                    _ => {}
                }
            }
        }
    }
}
