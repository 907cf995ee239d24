//! Shows binary messages, and saves them to files.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;

use crate::quantity::in_words;
use crate::say::on_one_line;

/// How many bytes of a binary message to show.
const GLIMPSE: usize = 16;

/// How to show binary messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The size and the first bytes.
    Summary,
    /// All bytes, as hexadecimal numbers and as text.
    Hex,
    /// Base64, on one line.
    Base64,
    /// As they are.
    Raw,
}

/// The size and the first bytes.
pub(crate) fn glimpse(bytes: &[u8]) -> String {
    let mut text = format!("binary, {}", in_words(bytes.len() as u64));
    if !bytes.is_empty() {
        text.push(':');
    }
    for byte in bytes.iter().take(GLIMPSE) {
        let _ = write!(text, " {byte:02x}");
    }
    if bytes.len() > GLIMPSE {
        text.push_str(" …");
    }
    text
}

/// Base64, as RFC 4648 has it, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A line for each 16 bytes, or for fewer if the lines would be wider than this: the offset, the bytes,
/// and the ASCII characters among them. The lines are separated, not ended, by line ends.
pub(crate) fn hex_dump(bytes: &[u8], width: usize) -> String {
    let in_line = bytes_in_line(width);
    let mut text = String::with_capacity(bytes.len().div_ceil(in_line) * (in_line * 4 + 12));
    for (number, row) in bytes.chunks(in_line).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let _ = write!(text, "{:06x} ", number * in_line);
        for at in 0..in_line {
            if at == 8 {
                text.push(' ');
            }
            match row.get(at) {
                Some(byte) => {
                    let _ = write!(text, " {byte:02x}");
                }
                None => text.push_str("   "),
            }
        }
        text.push_str("  ");
        text.extend(row.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
    }
    text
}

/// How many bytes a line of a dump has.
pub(crate) fn bytes_in_line(width: usize) -> usize {
    match width {
        76.. => 16,
        42.. => 8,
        _ => 4,
    }
}

/// Reads bytes that are written as hexadecimal numbers: `00 ff`, `00ff` or `00:ff`.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for word in text.split(|between: char| between.is_whitespace() || matches!(between, ':' | ','))
    {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        for pair in digits.as_bytes().chunks(2) {
            let byte = match pair {
                [high, low] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
                _ => None,
            };
            bytes.push(byte.ok_or_else(|| {
                format!(
                    "{word:?} is not hexadecimal: write two digits for each byte, such as 00 ff"
                )
            })?);
        }
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Reads base64, with padding or without.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    STANDARD.decode(format!("{text}{padding}")).map_err(|_| {
        let shown = on_one_line(text);
        format!("\"{shown}\" is not base64: write letters, digits, + and /, such as AP8Q")
    })
}

/// Saves binary messages to a directory, each in its own file.
#[derive(Debug, Clone)]
pub(crate) struct Saving {
    directory: Arc<Path>,
    next: Arc<Mutex<u64>>,
}

impl Saving {
    /// Creates the directory if it does not exist.
    pub(crate) fn to(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.into(), next: Arc::new(Mutex::new(1)) })
    }

    /// Writes the bytes to a new file, named by a number that none has. Returns its path.
    pub(crate) fn save(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let (path, mut file) = self.create()?;
        file.write_all(bytes)?;
        Ok(path)
    }

    fn create(&self) -> io::Result<(PathBuf, File)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let path = self.directory.join(format!("{:06}.bin", *next));
            *next += 1;
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_offsets_bytes_and_characters() {
        let bytes: Vec<u8> = (0x1e..0x30).collect();
        let lines = "000000  1e 1f 20 21 22 23 24 25  26 27 28 29 2a 2b 2c 2d  .. !\"#$%&'()*+,-\n\
                     000010  2e 2f                                             ./";
        assert_eq!(hex_dump(&bytes, 80), lines);
        assert_eq!(hex_dump(b"abcde", 20), "000000  61 62 63 64  abcd\n000004  65           e");
        assert_eq!(hex_dump(b"", 80), "");
        assert!(hex_dump(&[0; 16], 80).lines().all(|line| line.len() <= 76));
        assert!(hex_dump(&[0; 16], 42).lines().all(|line| line.len() <= 42));
    }

    #[test]
    fn bytes_can_be_written_in_several_ways() {
        for text in ["00 ff 10", "00ff10", "00:ff:10", "0x00, 0xFF, 0x10", " 00 ff 10 "] {
            assert_eq!(from_hex(text).unwrap(), [0, 255, 16], "{text}");
        }
        for text in ["0", "0g", "00 f", "é"] {
            assert!(from_hex(text).unwrap_err().contains("hexadecimal"), "{text}");
        }
        assert_eq!(from_base64("AAE=").unwrap(), from_base64(" AAE").unwrap());
        assert!(from_base64("%").unwrap_err().contains("base64"));
    }

    #[test]
    fn a_file_that_exists_is_not_overwritten() {
        let directory = std::env::temp_dir().join(format!("towline-saving-{}", std::process::id()));
        let first = Saving::to(&directory).unwrap().save(b"one").unwrap();
        let second = Saving::to(&directory).unwrap().save(b"two").unwrap();
        assert_eq!(fs::read(&first).unwrap(), b"one");
        assert_eq!(fs::read(&second).unwrap(), b"two");
        fs::remove_dir_all(&directory).unwrap();
    }
}
