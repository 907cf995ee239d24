//! The members of topics: each receives what is published to its topic, once and in order, and is counted.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::connecting::PATIENCE;
use crate::conversation::Conversation;
use crate::frames::{Expected, Traffic};
use crate::latencies::Latencies;
use crate::link::Link;
use crate::replies::Replies;

/// One topic: its publisher, and the state of its members.
struct Topic {
    publisher: Conversation,
    published: u64,
    /// When the last messages were published.
    at: Instant,
    members: usize,
    /// The number of members that do not have them all.
    missing: usize,
}

struct Member {
    stream: TcpStream,
    topic: usize,
    replies: Replies,
}

/// All topics, with the epoll instance that waits for their members and publishers.
pub(crate) struct Audience<'a> {
    topics: Vec<Topic>,
    members: Vec<Member>,
    traffic: &'a Traffic,
    expected: &'a Expected,
    pub(crate) latencies: Latencies,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

/// The counts of an interval.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) published: u64,
    /// The messages that members received.
    pub(crate) delivered: u64,
}

impl<'a> Audience<'a> {
    /// `members` has those of the first topic, then those of the second, and so on.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(crate) fn new(
        publishers: Vec<TcpStream>,
        members: Vec<TcpStream>,
        traffic: &'a Traffic,
        expected: &'a Expected,
    ) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("cannot create an epoll")?;
        let each = members.len() / publishers.len().max(1);
        let members: Vec<_> = members
            .into_iter()
            .enumerate()
            .map(|(number, stream)| {
                let topic = number / each.max(1);
                Member { stream, topic, replies: Replies::default() }
            })
            .collect();
        for (number, Member { stream, .. }) in members.iter().enumerate() {
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, stream, data, EventFlags::IN | EventFlags::ET)?;
        }
        let mut topics = Vec::with_capacity(publishers.len());
        for stream in publishers {
            let publisher = Conversation::new(Link::plain(stream))?;
            let data = EventData::new_u64((members.len() + topics.len()) as u64);
            let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, publisher.stream(), data, interest)?;
            let (published, at) = (0, Instant::now());
            topics.push(Topic { publisher, published, at, members: each, missing: 0 });
        }
        let (events, buffer) = (Vec::with_capacity(512), vec![0; 256 << 10]);
        let latencies = Latencies::default();
        Ok(Self { topics, members, traffic, expected, latencies, epoll, events, buffer })
    }

    /// Publishes to each topic, again whenever all its members have everything, for this time. Returns when
    /// all of them have everything.
    ///
    /// # Errors
    ///
    /// If a member does not get what it should, or gets something else.
    pub(crate) fn run_for(&mut self, time: Duration, burst: u64) -> Result<Counts> {
        let (began, mut counts) = (Instant::now(), Counts::default());
        let mut last = began;
        let mut busy = self.topics.len();
        for topic in &mut self.topics {
            counts.published += topic.publish(burst, self.traffic)?;
        }
        while busy > 0 {
            let delivered = counts.delivered;
            for number in self.wait(PATIENCE / 10)? {
                let (came, is_served) = self.turn(number)?;
                counts.delivered += came;
                if let Some(topic) = is_served {
                    if began.elapsed() < time {
                        counts.published += self.topics[topic].publish(burst, self.traffic)?;
                    } else {
                        busy -= 1;
                    }
                }
            }
            if counts.delivered > delivered {
                last = Instant::now();
            }
            let missing: usize = self.topics.iter().map(|topic| topic.missing).sum();
            ensure!(last.elapsed() < PATIENCE, "{missing} members got nothing for {PATIENCE:?}");
        }
        Ok(counts)
    }

    /// Checks that nothing more arrives.
    ///
    /// # Errors
    ///
    /// If a member gets more than was published.
    pub(crate) fn expect_silence(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while let Some(left) = time.checked_sub(began.elapsed()) {
            for number in self.wait(left)? {
                self.turn(number)?;
            }
        }
        Ok(())
    }

    /// The number of messages whose payload was compared.
    pub(crate) fn compared(&self) -> u64 {
        self.members.iter().map(|member| member.replies.compared).sum()
    }

    /// The average payload of a message in bytes, as received.
    pub(crate) fn mean_bytes(&self) -> u64 {
        let sum = |of: fn(&Replies) -> u64| {
            self.members.iter().map(|member| of(&member.replies)).sum::<u64>()
        };
        sum(|replies| replies.bytes) / sum(|replies| replies.complete).max(1)
    }

    /// Waits for members and publishers, and returns the numbers of those that have something.
    fn wait(&mut self, at_most: Duration) -> Result<Vec<usize>> {
        self.events.clear();
        let at_most = Timespec {
            tv_sec: at_most.as_secs().try_into()?,
            tv_nsec: at_most.subsec_nanos().into(),
        };
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&at_most))?;
        let events = self.events.iter().map(|event| event.data.u64());
        Ok(events.map(usize::try_from).collect::<Result<_, _>>()?)
    }

    /// Reads all that has arrived. Returns the number of messages, and the topic if its last member has now
    /// everything.
    fn turn(&mut self, number: usize) -> Result<(u64, Option<usize>)> {
        let Some(member) = self.members.get_mut(number) else {
            let publisher = &mut self.topics[number - self.members.len()].publisher;
            publisher.send(0, self.traffic)?;
            // A server that sends to all connections sends to publishers too.
            while read(publisher.stream(), &mut self.buffer)? == Some(self.buffer.len()) {}
            return Ok((0, None));
        };
        let topic = &mut self.topics[member.topic];
        let mut complete = 0;
        while let Some(length) = read(&member.stream, &mut self.buffer)? {
            let came = member.replies.take(&self.buffer[..length], self.expected)?;
            let took = topic.at.elapsed();
            for _ in 0..came {
                self.latencies.add_one(took);
            }
            complete += came;
            if length < self.buffer.len() {
                break;
            }
        }
        let (has, published) = (member.replies.complete, topic.published);
        ensure!(has <= published, "a member has {has} messages of {published}");
        if complete == 0 || has < published {
            return Ok((complete, None));
        }
        topic.missing -= 1;
        Ok((complete, (topic.missing == 0).then_some(member.topic)))
    }
}

impl Topic {
    fn publish(&mut self, messages: u64, traffic: &Traffic) -> Result<u64> {
        self.published += messages;
        self.missing = self.members;
        self.at = Instant::now();
        self.publisher.send(messages, traffic)?;
        Ok(messages)
    }
}

/// Returns the number of bytes read, or `None` if there are none now.
fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> Result<Option<usize>> {
    loop {
        match stream.read(buffer) {
            Ok(read) => {
                ensure!(read > 0, "the server ended a connection");
                return Ok(Some(read));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("a connection is lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::frames::{Compression, Kind, Shape};

    const SHAPE: Shape = Shape { kind: Kind::Text, size: 100, compression: Compression::Off };
    const TIME: Duration = Duration::from_millis(50);

    /// Two topics, each with two members. Publishers send masked frames of 106 bytes; `serve` gets the number
    /// of each and the sockets of all members, and writes frames to them.
    fn run(serve: impl Fn(u64, &[u8], &mut [TcpStream]) + Send + Sync) -> Result<Counts> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let pair = || -> Result<_> {
            let near = TcpStream::connect(listener.local_addr()?)?;
            Ok((near, listener.accept()?.0))
        };
        let traffic = Traffic::new(SHAPE, 3);
        let expected = Expected::new(&traffic, false, 1);
        let (mut publishers, mut members) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            for _ in 0..2 {
                let (near, mut far) = pair()?;
                publishers.push(near);
                let mut topic = Vec::new();
                for _ in 0..2 {
                    let (near, far) = pair()?;
                    members.push(near);
                    topic.push(far);
                }
                let (expected, serve) = (&expected, &serve);
                scope.spawn(move || {
                    let mut frame = [0; 106];
                    let mut number = 0;
                    while far.read_exact(&mut frame).is_ok() {
                        let slot = usize::try_from(number % 8).expect("it is small");
                        serve(number, expected.frame(slot), &mut topic);
                        number += 1;
                    }
                });
            }
            let mut audience = Audience::new(publishers, members, &traffic, &expected)?;
            let counts = audience.run_for(TIME, 3)?;
            audience.expect_silence(TIME)?;
            assert_eq!(audience.compared(), counts.delivered);
            assert_eq!(audience.mean_bytes(), 100);
            Ok(counts)
        })
    }

    fn write(frame: &[u8], members: &mut [TcpStream]) {
        for member in members {
            // The other end has gone after an error.
            let _ = member.write_all(frame);
        }
    }

    #[test]
    fn every_delivery_is_counted() {
        let counts = run(|_, frame, members| write(frame, members)).expect("all is well");
        assert_eq!(counts.delivered, counts.published * 2);
        assert!(counts.published >= 6, "{counts:?}");
    }

    #[test]
    fn a_message_that_comes_twice_is_noticed() {
        let result = run(|number, frame, members| {
            write(frame, members);
            if number == 2 {
                write(frame, &mut members[..1]);
            }
        });
        assert!(result.is_err());
    }

    #[test]
    fn a_message_that_is_skipped_is_noticed() {
        let result = run(|number, frame, members| {
            let from = usize::from(number == 1);
            write(frame, &mut members[from..]);
        });
        assert!(result.is_err());
    }
}
