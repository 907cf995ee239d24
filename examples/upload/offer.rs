//! What a client says about its file in the request: `/NAME?size=BYTES&sha256=HEX`.

use std::io;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much of a file is read at once.
pub(crate) const CHUNK: usize = 64 << 10;

/// A file, by its name and its bytes.
pub(crate) struct Offer {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// In lower case.
    pub(crate) sha256: String,
}

impl Offer {
    /// All of this comes from the peer. Fails with what to tell it.
    pub(crate) fn parse(path: &str, query: &str) -> Result<Self, &'static str> {
        let name = path.trim_start_matches('/');
        if !is_file_name(name) {
            return Err("a name has letters, digits, dots, hyphens and underscores");
        }
        let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key));
        let size = value("size=").and_then(|size| size.parse().ok());
        let size = size.ok_or("?size= is missing: the length of the file in bytes")?;
        let sha256 = value("sha256=").filter(|hash| is_hash(hash));
        let sha256 =
            sha256.ok_or("&sha256= is missing: the file's SHA-256, 64 digits in lower case")?;
        Ok(Self { name: name.to_owned(), size, sha256: sha256.to_owned() })
    }

    pub(crate) fn resource(&self) -> String {
        format!("/{}?size={}&sha256={}", self.name, self.size, self.sha256)
    }
}

/// A name must not leave the directory.
fn is_file_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with(".part")
}

/// The hash becomes a part of a file's name.
fn is_hash(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads to the end. Returns the number of bytes, and their hash so far.
pub(crate) async fn measure(file: &mut (impl AsyncRead + Unpin)) -> io::Result<(u64, Sha256)> {
    let (mut size, mut hash) = (0, Sha256::new());
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk).await?;
        if count == 0 {
            return Ok((size, hash));
        }
        hash.update(&chunk[..count]);
        size += count as u64;
    }
}

pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
