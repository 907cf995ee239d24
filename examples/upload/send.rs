//! The client: sends a file, or the rest of it.

use std::error::Error;
use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _, AsyncWriteExt as _};
use towline::{Client, CloseCode, Connection, MessageKind, MessageWriter, Receiver};

use crate::offer::{CHUNK, Offer, hex, measure};

pub(crate) async fn run(url: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("the file has no name")?;
    let mut file = File::open(path).await?;
    let (size, hash) = measure(&mut file).await?;
    let offer = Offer { name: name.to_owned(), size, sha256: hex(hash) };

    let url = format!("{}{}", url.trim_end_matches('/'), offer.resource());
    let connection = match Client::new().connect(url).await {
        Ok(connection) => connection,
        Err(error) => {
            // A refusal has a body that says why.
            let reason = error.response().map(|response| response.body().clone());
            return Err(match reason {
                Some(reason) => String::from_utf8_lossy(&reason).trim().to_owned().into(),
                None => error.into(),
            });
        }
    };
    let stored = upload(connection, file, size).await?;
    println!("stored {stored} bytes");
    Ok(())
}

/// Sends the rest of the file, and returns how much the server has stored.
async fn upload(
    connection: Connection,
    mut file: impl AsyncRead + AsyncSeek + Unpin,
    size: u64,
) -> Result<u64, Box<dyn Error>> {
    // Sends and receives at once: two halves.
    let (sender, mut receiver) = connection.split();
    let offset = number(&mut receiver, "have").await?;
    file.seek(SeekFrom::Start(offset)).await?;
    println!("from {offset} of {size} bytes");

    let message = sender.message_writer(MessageKind::Binary);
    // If one of them fails, the other is dropped: it could wait for ever for what does not come.
    let sending = send(&mut file, message);
    let ((), stored) = tokio::try_join!(sending, progress(&mut receiver, size))?;
    // The close waits for the peer's, which this half would have to receive if it were kept.
    drop(receiver);
    sender.close(CloseCode::NORMAL, "").await?;
    Ok(stored)
}

/// Sends the file in one message. Writing waits while the queue of the connection is full.
async fn send(
    file: &mut (impl AsyncRead + Unpin),
    mut message: MessageWriter,
) -> Result<(), Box<dyn Error>> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk).await?;
        if count == 0 {
            break;
        }
        message.write_all(&chunk[..count]).await?;
    }
    // A message that is dropped before this is no message: the connection closes with 1011.
    message.finish().await?;
    Ok(())
}

/// Shows what the server has, until it has all.
async fn progress(receiver: &mut Receiver, size: u64) -> Result<u64, Box<dyn Error>> {
    loop {
        let Some(message) = receiver.recv().await? else {
            return Err("the server has closed".into());
        };
        match message.as_text().and_then(|text| text.split_once(' ')) {
            Some(("have", count)) => println!("{count} of {size} bytes"),
            Some(("stored", count)) => return Ok(count.parse()?),
            _ => return Err("the server said something else".into()),
        }
    }
}

/// The number behind a word.
async fn number(receiver: &mut Receiver, word: &str) -> Result<u64, Box<dyn Error>> {
    let message = receiver.recv().await?.ok_or("the server has closed")?;
    let text = message.as_text().and_then(|text| text.strip_prefix(word));
    Ok(text.ok_or("the server said something else")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt as _, ReadBuf};
    use towline::{Proxy, Server};

    use super::*;

    /// Some bytes of a file, and then an error of the disk.
    struct Broken {
        left: usize,
    }

    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let count = buffer.remaining().min(self.left);
            if count == 0 {
                return Poll::Ready(Err(io::Error::other("the disk is broken")));
            }
            self.left -= count;
            buffer.put_slice(&vec![7; count]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncSeek for Broken {
        fn start_seek(self: Pin<&mut Self>, _: SeekFrom) -> io::Result<()> {
            Ok(())
        }

        fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
            Poll::Ready(Ok(0))
        }
    }

    /// Takes one message, and returns the code with which the connection has ended.
    async fn serve(mut server: Server) -> CloseCode {
        let mut connection = server.next_request().await.unwrap().accept().await.unwrap();
        connection.send("have 0").await.unwrap();
        {
            let mut message = connection.recv_reader().await.unwrap().unwrap();
            while let Ok(bytes) = message.fill_buf().await {
                let count = bytes.len();
                assert_ne!(count, 0, "the message has no end");
                message.consume(count);
            }
        }
        while connection.recv().await.is_ok_and(|message| message.is_some()) {}
        connection.closed().unwrap().code()
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_ends_the_upload() {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", server.local_addr().unwrap());
        let client = async {
            let connection = Client::new().proxy(Proxy::none()).connect(url).await.unwrap();
            upload(connection, Broken { left: 300_000 }, 1_000_000).await.unwrap_err().to_string()
        };
        let both = async { tokio::join!(client, serve(server)) };
        let (error, code) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert_eq!(error, "the disk is broken");
        assert_eq!(code, CloseCode::INTERNAL_ERROR);
    }
}
