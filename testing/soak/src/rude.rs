//! Rude clients, on bare sockets. Nothing is expected of the server but that it bears them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::dice::Dice;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Connects to one of these ports and misbehaves, in one of many ways. Errors are the answer to that.
pub(crate) async fn misbehave(ports: &[u16], dice: &mut Dice) {
    let _ = timeout(Duration::from_secs(20), act(ports, dice)).await;
}

async fn act(ports: &[u16], dice: &mut Dice) -> io::Result<()> {
    let port = ports[usize::try_from(dice.below(ports.len() as u64)).unwrap_or(0)];
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let act = dice.below(9);
    if act == 0 {
        // Says nothing.
        sleep(Duration::from_secs(dice.below(8))).await;
        return Ok(());
    }
    let len = usize::try_from(dice.below(REQUEST.len() as u64)).unwrap_or(0);
    if act == 1 {
        stream.write_all(&REQUEST.as_bytes()[..len]).await?;
        sleep(Duration::from_millis(dice.below(2_000))).await;
        return Ok(());
    }
    stream.write_all(REQUEST.as_bytes()).await?;
    let mut answer = [0; 500];
    let _ = timeout(Duration::from_secs(2), stream.read(&mut answer)).await;
    let says: &[u8] = match act {
        // Not masked; a reserved opcode; 2^63 bytes; a continuation of nothing.
        2 => &[0x81, 1, b'a'],
        3 => &[0x83, 0x80, 1, 2, 3, 4],
        4 => &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
        5 => &[0x80, 0x80, 1, 2, 3, 4],
        // The beginning of a frame.
        6 => &[0x82, 0xfe, 0x40, 0, 1, 2, 3, 4, 5],
        // Text that is not UTF-8.
        7 => &[0x81, 0x81, 0, 0, 0, 0, 0xff],
        _ => return flood(stream, dice).await,
    };
    stream.write_all(says).await?;
    match dice.below(3) {
        0 => sleep(Duration::from_millis(dice.below(5_000))).await,
        // A reset in place of an end.
        1 => stream.set_zero_linger()?,
        _ => drop(timeout(Duration::from_secs(5), stream.read(&mut answer)).await),
    }
    Ok(())
}

/// Sends messages and pings, and reads nothing of the echoes.
async fn flood(mut stream: TcpStream, dice: &mut Dice) -> io::Result<()> {
    let mut says = Vec::new();
    for _ in 0..200 {
        says.extend([0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0]);
        says.extend([0; 4096]);
        says.extend([0x89, 0x80, 1, 2, 3, 4]);
    }
    let _ = timeout(Duration::from_secs(2), stream.write_all(&says)).await;
    sleep(Duration::from_millis(dice.below(3_000))).await;
    Ok(())
}
