//! Opening handshakes on blocking sockets, many at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::frames::Compression;
use crate::link::Link;
use crate::session::Tls;

/// The time limit for everything that a server does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

// The key and the answer are those of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Raises the limit of open files to its maximum.
///
/// # Errors
///
/// If the system refuses.
pub(crate) fn allow_many_descriptors() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Opens `count` connections, `together` at a time: first all connect, then send their requests, then
/// read the answers. Each offers this compression.
///
/// # Errors
///
/// If one of them fails or takes too long.
pub(crate) fn connect(
    address: SocketAddr,
    connections: usize,
    together: usize,
    offer: Compression,
) -> Result<Vec<TcpStream>> {
    let links = connect_by(None, address, connections, together, offer)?;
    links.into_iter().map(|link| Ok(link.take_apart()?.0)).collect()
}

/// The same, over TLS if a configuration is given.
///
/// # Errors
///
/// As [`connect`].
pub(crate) fn connect_by(
    tls: Option<&Tls>,
    address: SocketAddr,
    connections: usize,
    together: usize,
    offer: Compression,
) -> Result<Vec<Link>> {
    let mut opened: Vec<Link> = Vec::with_capacity(connections);
    while opened.len() < connections {
        let from = opened.len();
        for _ in 0..together.max(1).min(connections - from) {
            let stream = open(address).context("cannot connect")?;
            opened.push(match tls {
                None => Link::plain(stream),
                Some(tls) => Link::begin(stream, tls)?,
            });
        }
        for link in &mut opened[from..] {
            link.secure()?;
            request(link, address, "/", offer)?;
        }
        for link in &mut opened[from..] {
            let rest = read_answer(link, offer)?;
            ensure!(rest.is_empty() && !link.has_unread(), "the server sent something unasked");
        }
    }
    Ok(opened)
}

/// Opens a connection to this resource. Part of unsolicited messages from the server may be missed.
///
/// # Errors
///
/// As [`connect`].
pub(crate) fn connect_to(
    address: SocketAddr,
    resource: &str,
    offer: Compression,
) -> Result<TcpStream> {
    let mut stream = open(address).context("cannot connect")?;
    request(&mut stream, address, resource, offer)?;
    read_answer(&mut stream, offer)?;
    Ok(stream)
}

/// Opens a connection to each of these resources, `together` at a time, and reads the first message on each:
/// a short text in one frame, possibly compressed.
///
/// # Errors
///
/// As [`connect`], and if that message is not sent, or anything more.
pub(crate) fn connect_greeted(
    address: SocketAddr,
    resources: &[String],
    together: usize,
    offer: Compression,
    greeting: &str,
) -> Result<Vec<TcpStream>> {
    let mut opened = Vec::with_capacity(resources.len());
    for resources in resources.chunks(together.max(1)) {
        let from = opened.len();
        for resource in resources {
            let mut stream = open(address).context("cannot connect")?;
            request(&mut stream, address, resource, offer)?;
            opened.push(stream);
        }
        for stream in &mut opened[from..] {
            let rest = read_answer(stream, offer)?;
            read_greeting(stream, rest, greeting)?;
        }
    }
    Ok(opened)
}

/// Reads a frame that begins with these bytes.
fn read_greeting(stream: &mut impl Read, mut frame: Vec<u8>, greeting: &str) -> Result<()> {
    const RSV1: u8 = 0x40;
    let mut buffer = [0; 128];
    while frame.len() < 2 || frame.len() < 2 + usize::from(frame[1]) {
        match stream.read(&mut buffer).context("no first message")? {
            0 => bail!("the connection ended before the first message"),
            read => frame.extend_from_slice(&buffer[..read]),
        }
    }
    let is_text = frame[0] & !RSV1 == 0x81 && frame.len() == 2 + usize::from(frame[1]);
    let is_greeting = frame[0] & RSV1 != 0 || &frame[2..] == greeting.as_bytes();
    ensure!(is_text && is_greeting, "the first message is not {greeting:?}: {frame:?}");
    Ok(())
}

fn request(
    stream: &mut impl Write,
    address: SocketAddr,
    resource: &str,
    offer: Compression,
) -> Result<()> {
    let extensions = match offer {
        Compression::Off => "",
        Compression::Alone => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover\r\n"
        }
        Compression::Takeover => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    };
    let request = format!(
        "GET {resource} HTTP/1.1\r\n\
         Host: {address}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\n{extensions}\r\n"
    );
    stream.write_all(request.as_bytes()).context("cannot send a request")
}

/// A server's backlog may be full for a moment.
fn open(address: SocketAddr) -> Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    let stream = loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => bail!(error),
            Err(_) => sleep(Duration::from_millis(5)),
        }
    };
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Closes with a reset, which leaves no port in TIME_WAIT, since many connections follow.
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(stream)
}

/// Reads and checks the answer, and returns the bytes that came after it.
fn read_answer(stream: &mut impl Read, offer: Compression) -> Result<Vec<u8>> {
    let mut head = [0; 4096];
    let mut length = 0;
    let end = loop {
        ensure!(length < head.len(), "the answer is too long");
        match stream.read(&mut head[length..]).context("no answer to a request")? {
            0 => bail!("the connection ended before the answer"),
            read => length += read,
        }
        let ends = head[..length].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(at) = ends {
            break at + 4;
        }
    };
    check_answer(&String::from_utf8_lossy(&head[..end]), offer)?;
    Ok(head[end..length].to_vec())
}

fn check_answer(head: &str, offer: Compression) -> Result<()> {
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101 "), "the server answered {status:?}");
    let accept = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
    ensure!(accept.is_some_and(|(_, value)| value.trim() == ACCEPT), "a wrong answer:\n{head}");
    let lower = head.to_ascii_lowercase();
    let extensions: Vec<_> =
        lower.lines().filter(|line| line.starts_with("sec-websocket-extensions:")).collect();
    match offer {
        Compression::Off => ensure!(extensions.is_empty(), "an extension nobody asked for"),
        Compression::Alone => {
            let agreed = extensions.iter().any(|line| {
                line.contains("permessage-deflate") && line.contains("server_no_context_takeover")
            });
            ensure!(agreed, "no compression, or none that is the same for every message");
        }
        Compression::Takeover => {
            // What would make it less than it could be.
            let refused = ["no_context_takeover", "max_window_bits"];
            let agreed = extensions.iter().any(|line| {
                line.contains("permessage-deflate") && !refused.iter().any(|no| line.contains(no))
            });
            ensure!(agreed, "no compression, or none with context takeover and whole windows");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_one_frame_with_this_text() {
        let read = |first: &[u8], mut later: &[u8]| read_greeting(&mut later, first.to_vec(), "hi");
        assert!(read(&[], &[0x81, 2, b'h', b'i']).is_ok());
        assert!(read(&[0x81, 2, b'h'], b"i").is_ok());
        assert!(read(&[0xc1, 3, 0xca, 0xc8, 0x04], &[]).is_ok());
        for (first, later) in [
            (&[0x81, 2, b'h', b'o'][..], &[][..]),
            (&[0x81, 2, b'h', b'i', 0x81], &[]),
            (&[0x82, 2, b'h', b'i'], &[]),
            (&[0x81, 2], b"h"),
        ] {
            assert!(read(first, later).is_err(), "{first:?} {later:?}");
        }
    }
}
