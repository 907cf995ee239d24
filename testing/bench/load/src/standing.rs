//! The cost of opening many connections, and of keeping them idle.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::connecting::connect_by;
use crate::frames::{Compression, Expected, Shape, Traffic};
use crate::link::Link;
use crate::process::{Usage, Watched};
use crate::replies::Replies;
use crate::session::Tls;

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// The number of handshakes at a time.
    pub(crate) together: usize,
    /// How long the server rests before its memory is read again.
    pub(crate) settle: Duration,
    pub(crate) shape: Shape,
    pub(crate) raw: bool,
    /// The TLS configuration, if any.
    pub(crate) tls: Option<Tls>,
    /// Whether sessions are resumed.
    pub(crate) resume: bool,
    pub(crate) server: Watched,
}

impl Plan {
    fn offer(&self) -> Compression {
        if self.raw { Compression::Off } else { self.shape.compression }
    }

    /// The number of connections before the measured ones. A server may issue two tickets for a new session,
    /// and none for a resumed one.
    fn first(&self) -> usize {
        if self.resume { self.connections.div_ceil(2) } else { 1 }
    }

    fn connect(&self, connections: usize) -> Result<Vec<Link>> {
        connect_by(self.tls.as_ref(), self.address, connections, self.together, self.offer())
    }
}

#[derive(Serialize)]
pub(crate) struct Held {
    connections: usize,
    /// The server's resident memory, in bytes.
    before: u64,
    after: u64,
}

#[derive(Serialize)]
pub(crate) struct Accepted {
    connections: usize,
    /// How many of them resumed a TLS session.
    resumed: usize,
    seconds: f64,
    server: Usage,
}

/// Opens the connections, echoes one message on each, and reads the server's memory.
///
/// # Errors
///
/// If the server fails, or answers with anything other than an echo.
pub(crate) fn hold(plan: &Plan) -> Result<Held> {
    let before = plan.server.resident()?;
    let mut streams = plan.connect(plan.connections)?;
    let traffic = Traffic::new(plan.shape, 1);
    let expected = Expected::new(&traffic, plan.raw, 1);
    for group in streams.chunks_mut(plan.together.max(1)) {
        echo_once(group, &traffic, &expected)?;
    }
    sleep(plan.settle);
    let after = plan.server.resident()?;
    Ok(Held { connections: streams.len(), before, after })
}

/// Opens the connections, and reads the server's processor time.
///
/// # Errors
///
/// If the server fails.
pub(crate) fn accept(plan: &Plan) -> Result<Accepted> {
    // Work done once for the first connection does not count.
    drop(plan.connect(plan.first())?);
    if let Some(tls) = plan.tls.as_ref().filter(|_| plan.resume) {
        tls.resume();
    }
    sleep(plan.settle);
    let (before, began) = (plan.server.usage()?, Instant::now());
    let links = plan.connect(plan.connections)?;
    let seconds = began.elapsed().as_secs_f64();
    sleep(plan.settle);
    let server = plan.server.usage()?.since(&before);
    let resumed = links.iter().filter(|link| link.is_resumed()).count();
    Ok(Accepted { connections: links.len(), resumed, seconds, server })
}

fn echo_once(streams: &mut [Link], traffic: &Traffic, expected: &Expected) -> Result<()> {
    use std::io::{Read, Write};

    let frame = usize::try_from(traffic.length(0, 1))?;
    for stream in &mut *streams {
        stream.write_all(&traffic.wire[..frame]).context("cannot write")?;
    }
    let mut buffer = vec![0; frame + 64];
    for stream in streams {
        let mut replies = Replies::default();
        while replies.complete == 0 {
            let read = stream.read(&mut buffer).context("no reply")?;
            ensure!(read > 0, "the connection is lost");
            replies.take(&buffer[..read], expected)?;
        }
    }
    Ok(())
}
