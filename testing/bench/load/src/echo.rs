//! Keeps messages in flight on many connections.

use std::net::SocketAddr;
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use serde::Serialize;

use crate::connecting::{PATIENCE, connect_by};
use crate::conversation::Conversation;
use crate::frames::{Expected, Traffic};
use crate::process::{Usage, Watched};
use crate::replies::Replies;
use crate::session::Tls;

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// The TLS configuration, if any.
    pub(crate) tls: Option<Tls>,
}

/// The results of the measured interval.
#[derive(Serialize)]
pub(crate) struct Report {
    messages: u64,
    /// Their payload in bytes, in one direction.
    bytes: u64,
    /// The average payload of the replies in bytes, which is less if they were compressed.
    reply_bytes: f64,
    seconds: f64,
    server: Usage,
    /// The usage of this program, which shows whether it was the bottleneck.
    load: Usage,
    /// The replies whose payload was compared, including the warm-up.
    compared: u64,
    /// The version of TLS and the cipher suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<String>,
}

/// The replies of all connections, including the warm-up.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) complete: u64,
    /// Their payload in bytes.
    pub(crate) bytes: u64,
    pub(crate) compared: u64,
}

/// # Errors
///
/// If the server fails, answers with anything other than an echo, or does not answer in time.
pub(crate) fn run(
    plan: &Plan,
    traffic: &Traffic,
    expected: &Expected,
    server: &Watched,
) -> Result<Report> {
    let Plan { address, connections, tls, .. } = plan;
    let links = connect_by(tls.as_ref(), *address, *connections, 32, expected.compression)?;
    let conversations = links.into_iter().map(Conversation::new).collect::<Result<Vec<_>>>()?;
    let mut crowd = Crowd::new(conversations, traffic, expected)?;
    for conversation in &mut crowd.conversations {
        conversation.send(plan.in_flight as u64, traffic)?;
    }
    crowd.run_for(plan.warm_up)?;

    let own = Watched::new(process::id());
    let (first, first_own, began) = (server.usage()?, own.usage()?, Instant::now());
    let messages = crowd.run_for(plan.measured)?;
    let (last, last_own, seconds) = (server.usage()?, own.usage()?, began.elapsed());
    let mut totals = Totals::default();
    for Replies { complete, bytes, compared, .. } in
        crowd.conversations.iter().map(|each| &each.replies)
    {
        totals.complete += complete;
        totals.bytes += bytes;
        totals.compared += compared;
    }
    let usage = (last.since(&first), last_own.since(&first_own));
    let report = Report::new(messages, traffic.shape.size, seconds, usage, &totals)?;
    Ok(Report { tls: crowd.conversations.first().and_then(Conversation::tls), ..report })
}

impl Report {
    /// `usage` is that of the server and of this program.
    ///
    /// # Errors
    ///
    /// If there was no message.
    pub(crate) fn new(
        messages: u64,
        size: usize,
        seconds: Duration,
        (server, load): (Usage, Usage),
        totals: &Totals,
    ) -> Result<Self> {
        ensure!(messages > 0, "no message came back");
        let &Totals { complete, bytes, compared } = totals;
        Ok(Self {
            messages,
            bytes: messages * size as u64,
            reply_bytes: mean(bytes, complete),
            seconds: seconds.as_secs_f64(),
            server,
            load,
            compared,
            tls: None,
        })
    }
}

/// Rounds to a tenth.
fn mean(sum: u64, count: u64) -> f64 {
    let tenths = u32::try_from(sum * 10 / count.max(1)).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

/// All connections, with the epoll instance that waits for them.
struct Crowd<'a> {
    conversations: Vec<Conversation>,
    traffic: &'a Traffic,
    expected: &'a Expected,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl<'a> Crowd<'a> {
    fn new(
        conversations: Vec<Conversation>,
        traffic: &'a Traffic,
        expected: &'a Expected,
    ) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("cannot create an epoll")?;
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        for (number, conversation) in conversations.iter().enumerate() {
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, conversation.stream(), data, interest)?;
        }
        let (events, buffer) = (Vec::with_capacity(512), vec![0; 256 << 10]);
        Ok(Self { conversations, traffic, expected, epoll, events, buffer })
    }

    /// Keeps the messages in flight, and returns how many came back.
    fn run_for(&mut self, time: Duration) -> Result<u64> {
        let began = Instant::now();
        let mut last = began;
        let mut complete = 0;
        let tick = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        loop {
            self.events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&tick))?;
            let before = complete;
            for Event { flags, data, .. } in self.events.iter().copied() {
                let number = usize::try_from(data.u64())?;
                let conversation = &mut self.conversations[number];
                if flags.contains(EventFlags::OUT) {
                    conversation.send(0, self.traffic)?;
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    complete += conversation.turn(self.traffic, self.expected, &mut self.buffer)?;
                }
            }
            let now = Instant::now();
            if complete > before {
                last = now;
            }
            ensure!(now - last < PATIENCE, "no reply for {} s", PATIENCE.as_secs());
            if now - began >= time {
                return Ok(complete);
            }
        }
    }
}
