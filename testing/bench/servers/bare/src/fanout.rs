//! The floor of fan-out: one loop that writes the same bytes to each socket of a topic. They are all frames
//! that came in one read, unmasked.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use towline_bench_serving::fanout::{self, JOINED, Role};
use towline_bench_serving::handshake;
use towline_bench_serving::options::Options;

struct Shared {
    extensions: Option<&'static str>,
    topics: Mutex<HashMap<String, Vec<Arc<TcpStream>>>>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let extensions = options.compress.then(|| handshake::compression(options.takeover));
    fanout::run(options, Shared { extensions, topics: Mutex::default() }, serve)
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> Result<()> {
    match Role::of(&handshake::upgrade_to(&mut stream, shared.extensions).await?)? {
        Role::Member(topic) => join(stream, &topic, &shared).await,
        Role::Publisher(topic) => publish(stream, &topic, &shared).await,
    }
}

async fn join(stream: TcpStream, topic: &str, shared: &Shared) -> Result<()> {
    let stream = Arc::new(stream);
    shared.with_members(topic, |members| members.push(stream.clone()));
    let mut joined = vec![0x81, 0];
    joined.extend_from_slice(JOINED.as_bytes());
    joined[1] = u8::try_from(JOINED.len())?;
    stream.try_write(&joined)?;
    let mut buffer = [0; 512];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    shared.with_members(topic, |members| members.retain(|other| !Arc::ptr_eq(other, &stream)));
    Ok(())
}

async fn publish(mut stream: TcpStream, topic: &str, shared: &Shared) -> Result<()> {
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    let mut frames = Vec::with_capacity(buffer.len());
    loop {
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            read => filled += read,
        }
        frames.clear();
        let used = unmask(&buffer[..filled], &mut frames);
        buffer.copy_within(used..filled, 0);
        filled -= used;
        // A socket without room for all of it gets nothing more.
        shared.with_members(topic, |members| {
            members.retain(|member| {
                member.try_write(&frames).is_ok_and(|written| written == frames.len())
            });
        });
    }
}

impl Shared {
    fn with_members(&self, topic: &str, act: impl FnOnce(&mut Vec<Arc<TcpStream>>)) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        act(topics.entry(topic.to_owned()).or_default());
    }
}

/// Appends the complete frames, as a server sends them. Returns their length in `bytes`.
fn unmask(bytes: &[u8], frames: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some((frame, head)) = whole(&bytes[used..]) {
        used += frame.len();
        let (header, payload) = frame.split_at(head);
        let (header, key) = header.split_at(head - 4);
        frames.extend_from_slice(&[header[0], header[1] & 0x7f]);
        frames.extend_from_slice(&header[2..]);
        frames.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    used
}

/// Returns the first frame, if it is complete, and the length of its header with the key.
fn whole(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let long = |end: usize| {
        let length = bytes.get(2..end)?;
        Some(length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    };
    let (head, length) = match bytes.get(1)? & 0x7f {
        127 => (14, long(10)?),
        126 => (8, long(4)?),
        short => (6, usize::from(short)),
    };
    Some((bytes.get(..head + length)?, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_lose_their_masks() {
        let long = [vec![0xc2, 0xfe, 0, 200, 9, 9, 9, 9], vec![8; 200]].concat();
        let bytes = [&[0x81, 0x83, 1, 2, 3, 4, 96, 96, 96, 0x81, 0x80, 0, 0, 0, 0], &long[..]];
        let bytes = bytes.concat();
        let expected = [&[0x81, 3, 97, 98, 99, 0x81, 0, 0xc2, 126, 0, 200], &[1; 200][..]].concat();
        for end in 0..=bytes.len() {
            let mut frames = Vec::new();
            let used = unmask(&bytes[..end], &mut frames);
            assert_eq!(used, [0, 9, 15, bytes.len()].into_iter().rfind(|&at| at <= end).unwrap());
            unmask(&bytes[used..], &mut frames);
            assert_eq!(frames, expected, "{end}");
        }
    }
}
