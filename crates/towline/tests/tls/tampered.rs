//! A stream that somebody in between cuts off or changes, at any byte: never a panic, never a byte that
//! the peer has not sent, and never an end that is not one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use towline::{Blame, ErrorKind, Role, Tls, TlsServer, TlsStream};

use crate::ends::ENDS;
use crate::peer::{VERSIONS, client_config, server_config};

/// What is done to what the peer sends, at one byte of it.
#[derive(Debug, Clone, Copy)]
enum Harm {
    None,
    /// The stream ends before it.
    Cut,
    /// It fails there.
    Fail,
    /// The byte is another one.
    Flip(u8),
    /// Something comes in between.
    Insert(&'static [u8]),
}

struct Harmed {
    stream: DuplexStream,
    harm: Harm,
    /// So many bytes come before it.
    before: usize,
    read: usize,
}

impl AsyncRead for Harmed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = this.before.saturating_sub(this.read);
        if left == 0 {
            match this.harm {
                Harm::Cut => return Poll::Ready(Ok(())),
                Harm::Fail => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Harm::Insert(bytes) => {
                    buffer.put_slice(&bytes[..bytes.len().min(buffer.remaining())]);
                    this.harm = Harm::None;
                    return Poll::Ready(Ok(()));
                }
                Harm::Flip(_) | Harm::None => {}
            }
        }
        let most = if left == 0 { 1 << 20 } else { left };
        let mut bytes = vec![0; most.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        this.read += count;
        if let Harm::Flip(with) = this.harm
            && left == 0
            && count > 0
        {
            bytes[0] ^= with;
            this.harm = Harm::None;
        }
        buffer.put_slice(&bytes[..count]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Harmed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn said() -> Vec<u8> {
    (0..300).map(|at| (at % 251) as u8).collect()
}

/// Says that, and reads to the end: what was read, and whether that was all. Who says first that it
/// was all can't say anything else any more: rustls asserts that, where it is built to be debugged.
async fn converses(
    stream: towline::Result<TlsStream>,
    is_first: bool,
) -> towline::Result<(Vec<u8>, io::Result<()>)> {
    let mut stream = stream?;
    let mut heard = Vec::new();
    for part in said().chunks(100) {
        // The other end may have left.
        let _ = stream.write_all(part).await;
        let _ = stream.flush().await;
    }
    if is_first {
        let _ = stream.shutdown().await;
    }
    let end = stream.read_to_end(&mut heard).await;
    let _ = stream.shutdown().await;
    Ok((heard, end.map(drop)))
}

/// What the harmed end has come to, and how many bytes it has read.
async fn converse(
    harmed: Role,
    version: usize,
    harm: Harm,
    before: usize,
) -> towline::Result<(Vec<u8>, io::Result<()>)> {
    let signed = ENDS.authority.server(&["localhost"]);
    let server = TlsServer::from_rustls_0_23(Arc::new(server_config(&signed, VERSIONS[version])));
    let config = client_config(&ENDS.authority, VERSIONS[version]);
    let client = Tls::from_rustls_0_23(Arc::new(config));
    let (stream, far) = tokio::io::duplex(1 << 16);
    let near = Harmed { stream, harm, before, read: 0 };
    let both = async {
        match harmed {
            Role::Server => {
                let near = async { converses(server.accept(near).await, false).await };
                let far = async { converses(client.connect(far, "localhost").await, true).await };
                tokio::join!(near, far).0
            }
            Role::Client => {
                let near =
                    async { converses(client.connect(near, "localhost").await, false).await };
                let far = async { converses(server.accept(far).await, true).await };
                tokio::join!(near, far).0
            }
        }
    };
    let wait = std::time::Duration::from_secs(60);
    tokio::time::timeout(wait, both).await.unwrap_or_else(|_| {
        // Bytes that say that more is to come, which it is not.
        Ok((Vec::new(), Err(io::ErrorKind::TimedOut.into())))
    })
}

/// The bytes that lie in between: more than there are of the handshake.
const BYTES: usize = 2600;

async fn is_told(harm: impl Fn(usize) -> Harm, step: usize) {
    let mut ends = 0;
    for role in [Role::Server, Role::Client] {
        for version in 0..2 {
            for before in (role as usize..BYTES).step_by(step) {
                let harm = harm(before);
                let what = format!("{role:?}, {version}, {harm:?} at {before}");
                match converse(role, version, harm, before).await {
                    Err(error) => {
                        let text = error.to_string();
                        assert_eq!(error.blame(), Blame::Remote, "{what}: {text}");
                        assert!(!text.contains('\n'), "{what}: {text}");
                    }
                    Ok((heard, end)) => {
                        assert!(said().starts_with(&heard), "{what}");
                        if end.is_ok() {
                            assert!(heard == said(), "{what}: that was not all");
                            ends += 1;
                        }
                    }
                }
            }
        }
    }
    // Behind what was said there is nothing to harm.
    assert!(ends > 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_off_anywhere_is_not_whole() {
    is_told(|_| Harm::Cut, 29).await;
    is_told(|_| Harm::Fail, 151).await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_is_another_one_is_never_taken_for_what_was_sent() {
    is_told(|at| Harm::Flip(1 << (at % 8)), 17).await;
    is_told(|_| Harm::Flip(0xff), 47).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_in_between_is_never_taken_for_what_was_sent() {
    const GARBAGE: [&[u8]; 8] = [
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        // Empty records of each type.
        &[20, 3, 3, 0, 0],
        &[22, 3, 3, 0, 0],
        &[23, 3, 3, 0, 0],
        // Alerts: close_notify, and a fatal one, in the clear.
        &[21, 3, 3, 0, 2, 1, 0],
        &[21, 3, 3, 0, 2, 2, 40],
        // A record that is too long.
        &[23, 3, 3, 0xff, 0xff, 1, 2, 3],
    ];
    for (index, garbage) in GARBAGE.into_iter().enumerate() {
        is_told(|_| Harm::Insert(garbage), 173 + index).await;
    }
}

/// What is cut off is an end where a close_notify has come before it, and else none.
#[tokio::test(start_paused = true)]
async fn how_a_stream_ends_is_told() {
    for role in [Role::Server, Role::Client] {
        for version in 0..2 {
            let (heard, end) = converse(role, version, Harm::None, 0).await.unwrap();
            assert!(heard == said());
            end.unwrap();
            let mut kinds = Vec::new();
            for before in 0..BYTES {
                match converse(role, version, Harm::Cut, before).await {
                    Err(error) => {
                        let kind = match role {
                            Role::Server if before == 0 => ErrorKind::RequestGone,
                            Role::Server => ErrorKind::ConnectionLost,
                            Role::Client => ErrorKind::Tls,
                        };
                        assert_eq!(error.kind(), kind, "{error}");
                    }
                    Ok((_, Err(error))) => kinds.push(error),
                    Ok((_, Ok(()))) => break,
                }
            }
            assert!(kinds.len() > 300, "a byte for each byte at least");
            for error in kinds {
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                assert!(error.to_string().contains("close_notify"), "{error}");
            }
        }
    }
}
