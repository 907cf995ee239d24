//! What is published to topics, and how long it takes to all their members.

use std::net::{SocketAddr, TcpStream};
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::audience::{Audience, Counts};
use crate::connecting::{connect_greeted, connect_to};
use crate::fair::SPARE;
use crate::frames::{Compression, Expected, Kind, Shape, Traffic};
use crate::latencies::{Latencies, Summary};
use crate::process::{Usage, Watched};

/// The text that a member is sent once it gets everything published from then on.
const JOINED: &str = "joined";

/// What is published to a member that does not read: more than the kernel keeps for a socket.
const STUFFING: Shape = Shape { kind: Kind::Text, size: 16 << 10, compression: Compression::Off };
const STUFFED: u64 = 16 << 20;

/// How long nothing may arrive at the end.
const SILENCE: Duration = Duration::from_millis(100);

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) shape: Shape,
    pub(crate) topics: usize,
    /// The members of each topic.
    pub(crate) members: usize,
    /// The number of messages that are published together.
    pub(crate) burst: usize,
    /// Whether the first topic has one member more, which never reads.
    pub(crate) stalled: bool,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    pub(crate) compare_every: u64,
    pub(crate) server: Watched,
}

/// The results of the measured interval.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The members of each topic, limited by the descriptors.
    members: usize,
    published: u64,
    delivered: u64,
    /// The average payload of a delivered message in bytes, which is less than the message if it is compressed.
    bytes: u64,
    seconds: f64,
    /// From the write of a message, or of a burst, to the read of it by a member.
    latency: Summary,
    server: Usage,
    /// The usage of this program, which shows whether it was the bottleneck.
    load: Usage,
    /// The messages whose payload was compared, including the warm-up.
    compared: u64,
}

/// # Errors
///
/// If the server fails, or a member does not get every message once and in order.
pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let &Plan { address, topics, shape, burst, .. } = plan;
    let most = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |most| most);
    let members = affordable(topics, plan.members, most);
    ensure!(members > 0, "{topics} topics need more descriptors than {most}");
    let stalled = plan.stalled.then(|| stall(address)).transpose()?;
    let traffic = Traffic::new(shape, burst);
    let expected = Expected::new(&traffic, false, plan.compare_every);
    let (publishers, members_of_all) = open(address, topics, members, shape.compression)?;
    let mut audience = Audience::new(publishers, members_of_all, &traffic, &expected)?;
    audience.run_for(plan.warm_up, burst as u64)?;

    audience.latencies = Latencies::default();
    let own = Watched::new(process::id());
    let (first, first_own, began) = (plan.server.usage()?, own.usage()?, Instant::now());
    let Counts { published, delivered } = audience.run_for(plan.measured, burst as u64)?;
    let (last, last_own, seconds) = (plan.server.usage()?, own.usage()?, began.elapsed());
    audience.expect_silence(SILENCE)?;
    drop(stalled);
    let expected = published * members as u64;
    ensure!(delivered == expected, "{delivered} deliveries, not {expected}");
    let latencies = std::mem::take(&mut audience.latencies);
    Ok(Report {
        members,
        published,
        delivered,
        bytes: audience.mean_bytes(),
        seconds: seconds.as_secs_f64(),
        latency: latencies.summary().context("no message was published")?,
        server: last.since(&first),
        load: last_own.since(&first_own),
        compared: audience.compared(),
    })
}

/// Returns the number of members of each topic, reduced until all have a descriptor.
fn affordable(topics: usize, members: usize, most: u64) -> usize {
    let most = usize::try_from(most.saturating_sub(SPARE)).unwrap_or(usize::MAX);
    members.min(most.saturating_sub(topics) / topics.max(1))
}

/// Opens the publishers, and then the members of each topic.
fn open(
    address: SocketAddr,
    topics: usize,
    members: usize,
    offer: Compression,
) -> Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let publishers = (0..topics)
        .map(|topic| connect_to(address, &format!("/publish/{topic}"), offer))
        .collect::<Result<Vec<_>>>()?;
    let resources: Vec<_> = (0..topics)
        .flat_map(|topic| std::iter::repeat_n(format!("/join/{topic}"), members))
        .collect();
    Ok((publishers, connect_greeted(address, &resources, 32, offer, JOINED)?))
}

/// Returns a member of the first topic that reads nothing. What it has not read fills the server's socket and
/// whatever the server keeps for it. One more member checks that all of it is published, and leaves.
fn stall(address: SocketAddr) -> Result<TcpStream> {
    let resource = ["/join/0".to_owned()];
    let mut stalled = connect_greeted(address, &resource, 1, STUFFING.compression, JOINED)?;
    let stalled = stalled.pop().context("no member")?;
    let traffic = Traffic::new(STUFFING, 1);
    let expected = Expected::new(&traffic, false, 16);
    let (publishers, members) = open(address, 1, 1, STUFFING.compression)?;
    let mut audience = Audience::new(publishers, members, &traffic, &expected)?;
    for _ in 0..STUFFED / STUFFING.size as u64 {
        audience.run_for(Duration::ZERO, 1)?;
    }
    Ok(stalled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_publishers_have_a_descriptor_each() {
        assert_eq!(affordable(1, 10_000, 20_000), 10_000);
        assert_eq!(affordable(1, 10_000, 1024), 923);
        assert_eq!(affordable(100, 100, 1024), 8);
        assert_eq!(affordable(100, 100, 50), 0);
    }
}
