//! The client: sends a file, or the rest of it.

use std::error::Error;
use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use towline::{Client, CloseCode, MessageKind, MessageWriter, Receiver};

/// How much of the file is read at once.
const CHUNK: usize = 64 << 10;

pub(crate) async fn run(url: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("the file has no name")?;
    let mut file = File::open(path).await?;
    let length = file.metadata().await?.len();

    let url = format!("{}/{name}", url.trim_end_matches('/'));
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
    // Sends and receives at once: two halves.
    let (sender, mut receiver) = connection.split();
    let offset = number(&mut receiver, "have").await?;
    if offset > length {
        return Err(format!("the server has {offset} bytes, and the file only {length}").into());
    }
    file.seek(SeekFrom::Start(offset)).await?;
    println!("from {offset} of {length} bytes");

    let mut message = sender.message_writer(MessageKind::Binary);
    let (sent, stored) =
        tokio::join!(send(&mut file, &mut message), progress(&mut receiver, length));
    sent?;
    let stored = stored?;
    // The close waits for the peer's, which this half would have to receive if it were kept.
    drop(receiver);
    sender.close(CloseCode::NORMAL, "").await?;
    println!("stored {stored} bytes");
    Ok(())
}

/// Sends the file in one message. Writing waits while the queue of the connection is full.
async fn send(file: &mut File, message: &mut MessageWriter) -> Result<(), Box<dyn Error>> {
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
async fn progress(receiver: &mut Receiver, length: u64) -> Result<u64, Box<dyn Error>> {
    loop {
        let Some(message) = receiver.recv().await? else {
            return Err("the server has closed".into());
        };
        match message.as_text().and_then(|text| text.split_once(' ')) {
            Some(("have", count)) => println!("{count} of {length} bytes"),
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
