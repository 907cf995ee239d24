//! The server: writes what arrives to `NAME.HASH.part`, and renames it when it is whole.

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use towline::http::StatusCode;
use towline::{CloseCode, Connection, MessageKind, MessageReader, Request, Sender, Server};

use crate::offer::{Offer, hex, measure};

/// The longest file.
const MAX_SIZE: u64 = 10 << 30;

/// How often the client is told how much has arrived.
const REPORT_EVERY: u64 = 1 << 20;

pub(crate) async fn run(address: &str, directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory).await?;
    let mut server = Server::bind(address).await?;
    println!("listening on {}", server.local_addr()?);
    let uploads = Arc::new(Uploads { directory: directory.to_owned(), active: Mutex::default() });
    while let Some(request) = server.next_request().await {
        let uploads = uploads.clone();
        tokio::spawn(async move {
            if let Err(error) = upload(request, uploads).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

struct Uploads {
    directory: PathBuf,
    /// The names that are being written: two clients must not write to one file.
    active: Mutex<HashSet<String>>,
}

/// The right to write a file, given back when it is dropped.
struct Claim {
    uploads: Arc<Uploads>,
    offer: Offer,
}

impl Uploads {
    fn active(&self) -> MutexGuard<'_, HashSet<String>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn new(uploads: Arc<Uploads>, offer: Offer) -> Option<Self> {
        let is_free = uploads.active().insert(offer.name.clone());
        is_free.then(|| Self { uploads, offer })
    }

    fn whole(&self) -> PathBuf {
        self.uploads.directory.join(&self.offer.name)
    }

    /// Each version of a file has a part of its own.
    fn part(&self) -> PathBuf {
        let Offer { name, sha256, .. } = &self.offer;
        self.uploads.directory.join(format!("{name}.{sha256}.part"))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.uploads.active().remove(&self.offer.name);
    }
}

async fn upload(request: Request, uploads: Arc<Uploads>) -> io::Result<()> {
    let offer = match Offer::parse(request.path(), request.query().unwrap_or_default()) {
        Ok(offer) => offer,
        Err(reason) => return Ok(request.reject(StatusCode::BAD_REQUEST, reason).await?),
    };
    if offer.size > MAX_SIZE {
        let reason = format!("the file has {} bytes; the limit is {MAX_SIZE}", offer.size);
        return Ok(request.reject(StatusCode::PAYLOAD_TOO_LARGE, reason).await?);
    }
    let Some(claim) = Claim::new(uploads, offer) else {
        return Ok(request.reject(StatusCode::CONFLICT, "this file is being uploaded").await?);
    };
    if fs::try_exists(claim.whole()).await? {
        return Ok(request.reject(StatusCode::CONFLICT, "there is a file of this name").await?);
    }
    store(request.accept().await?, claim).await
}

async fn store(mut connection: Connection, claim: Claim) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).read(true).append(true).open(claim.part()).await?;
    let (offset, mut hash) = measure(&mut file).await?;
    connection.send(format!("have {offset}")).await?;

    let sender = connection.sender();
    // The message is there as soon as it begins.
    let Some(message) = connection.recv_reader().await? else { return Ok(()) };
    if message.kind() != MessageKind::Binary {
        drop(message);
        connection.close(CloseCode::UNSUPPORTED_DATA, "send the file as a binary message").await?;
        return Ok(());
    }
    // A longer message closes the connection with 1009.
    let message = message.max_size(claim.offer.size.saturating_sub(offset));
    // If the client vanishes in the middle, this is an error. What was written stays, for the next time.
    let written = copy(message, &mut file, &mut hash, offset, &sender).await;
    file.flush().await?;
    let size = written?;
    if size != claim.offer.size || hex(hash) != claim.offer.sha256 {
        // The next upload begins anew, and may come as soon as the client hears of this.
        fs::remove_file(claim.part()).await?;
        drop(claim);
        connection
            .close(CloseCode::POLICY, "these are not the bytes of ?size= and &sha256=")
            .await?;
        return Ok(());
    }
    // On the disk before the client is told so.
    file.sync_all().await?;
    fs::rename(claim.part(), claim.whole()).await?;
    println!("stored {} with {size} bytes", claim.offer.name);
    connection.send(format!("stored {size}")).await?;
    // The client closes. Waiting for it means that it has received the last message.
    while connection.recv().await?.is_some() {}
    Ok(())
}

/// Writes the message to the file as it arrives. While the disk is busy nothing is read, and the client
/// has to wait: that is what bounds the memory.
async fn copy(
    mut message: MessageReader<'_>,
    file: &mut File,
    hash: &mut Sha256,
    mut size: u64,
    sender: &Sender,
) -> io::Result<u64> {
    let mut reported = size;
    loop {
        // What has arrived, lent from the receive buffer.
        let bytes = message.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(size);
        }
        file.write_all(bytes).await?;
        hash.update(bytes);
        let count = bytes.len();
        message.consume(count);
        size += count as u64;
        if size - reported >= REPORT_EVERY {
            reported = size;
            // `try_send`, since a client that does not read must not stop its own upload here: it misses
            // a report.
            let _ = sender.try_send(format!("have {size}"));
        }
    }
}
