//! How a message looks on a broker.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use bytes::{BufMut, Bytes, BytesMut};
use towline_proto::{Compress, Message, Outgoing, Text};

/// No text begins with these bytes: `FF` is never a part of UTF-8.
const MAGIC: [u8; 2] = [0xFF, b'T'];
const VERSION: u8 = 1;
/// The length of all before the payload.
const HEAD: usize = MAGIC.len() + 2 + NodeId::LEN;

const TEXT: u8 = 0b01;
const NEVER_COMPRESSED: u8 = 0b10;

/// The number of a node, by which it knows its own messages when the broker sends them back.
///
/// [`Envelope`] has an example.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; Self::LEN]);

impl NodeId {
    /// The length in bytes.
    pub const LEN: usize = 8;

    /// Returns the id of these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns a random id.
    pub fn random() -> Self {
        // The operating system's random bytes, without a dependency: the hasher's keys come from there.
        Self(RandomState::new().hash_one(std::process::id()).to_be_bytes())
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// A message between nodes, and the bytes that it is on a broker.
///
/// | bytes | content |
/// | --- | --- |
/// | 2 | `FF 54`: no text begins so |
/// | 1 | the version, 1 |
/// | 1 | flags: 1 for text, otherwise binary; 2 if the message must not be compressed |
/// | 8 | the [id](NodeId) of the node that publishes |
/// | the rest | the payload |
///
/// Bytes that do not begin with `FF 54` are a message without an envelope: text if they are valid
/// UTF-8, otherwise binary. So other programs can publish to topics, too, and the members of all
/// nodes get it. A program that publishes binary messages which could be mistaken for text, or begin
/// with `FF 54`, puts them into an envelope, with any id of its own.
///
/// ```
/// use towline::relaying::{Envelope, NodeId};
///
/// let node = NodeId::random();
/// let bytes = Envelope::encode(node, "ship ahoy");
/// let envelope = Envelope::decode(bytes)?;
/// assert_eq!((envelope.node, envelope.message.as_text()), (Some(node), Some("ship ahoy")));
///
/// let plain = Envelope::decode("from another program".into())?;
/// assert_eq!((plain.node, plain.message.is_text()), (None, true));
/// # Ok::<(), towline::relaying::InvalidEnvelope>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The node that has published the message. `None` if it has no envelope.
    pub node: Option<NodeId>,
    /// The message. It shares the memory of the decoded bytes.
    pub message: Message,
    /// Whether it can be compressed for members.
    pub compress: Compress,
}

impl Envelope {
    /// How many bytes an envelope adds to a payload.
    pub const OVERHEAD: usize = HEAD;

    /// Returns the bytes of a message that `node` publishes. The payload is copied.
    pub fn encode<'m>(node: NodeId, message: impl Into<Outgoing<'m>>) -> Bytes {
        let (message, compress) = message.into().into_parts();
        let mut flags = 0;
        if message.is_text() {
            flags |= TEXT;
        }
        if compress == Compress::Never {
            flags |= NEVER_COMPRESSED;
        }
        let mut bytes = BytesMut::with_capacity(HEAD + message.len());
        bytes.put_slice(&MAGIC);
        bytes.put_slice(&[VERSION, flags]);
        bytes.put_slice(node.as_bytes());
        bytes.put_slice(message.as_bytes());
        bytes.freeze()
    }

    /// Returns the message of these bytes. The payload is not copied.
    ///
    /// # Errors
    ///
    /// [`InvalidEnvelope`] if the envelope is cut off, of another version, has unknown flags, or
    /// holds text that is not valid UTF-8.
    pub fn decode(mut bytes: Bytes) -> Result<Self, InvalidEnvelope> {
        if !bytes.starts_with(&MAGIC) {
            let message = match Text::try_from(bytes.clone()) {
                Ok(text) => Message::Text(text),
                Err(_) => Message::Binary(bytes),
            };
            return Ok(Self { node: None, message, compress: Compress::Auto });
        }
        if bytes.len() < HEAD {
            return Err(InvalidEnvelope(Fault::Short(bytes.len())));
        }
        let payload = bytes.split_off(HEAD);
        let (version, flags) = (bytes[2], bytes[3]);
        if version != VERSION {
            return Err(InvalidEnvelope(Fault::Version(version)));
        }
        if flags & !(TEXT | NEVER_COMPRESSED) != 0 {
            return Err(InvalidEnvelope(Fault::Flags(flags)));
        }
        let message = if flags & TEXT == 0 {
            Message::Binary(payload)
        } else {
            let text = Text::try_from(payload).map_err(|_| InvalidEnvelope(Fault::Utf8))?;
            Message::Text(text)
        };
        let mut node = [0; NodeId::LEN];
        node.copy_from_slice(&bytes[HEAD - NodeId::LEN..]);
        let never = flags & NEVER_COMPRESSED != 0;
        let compress = if never { Compress::Never } else { Compress::Auto };
        Ok(Self { node: Some(NodeId(node)), message, compress })
    }
}

/// The error for bytes that are no [`Envelope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEnvelope(Fault);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Short(usize),
    Version(u8),
    Flags(u8),
    Utf8,
}

impl fmt::Display for InvalidEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fault::Short(len) => write!(f, "the envelope has {len} bytes; the least is {HEAD}"),
            Fault::Version(version) => {
                write!(f, "the envelope's version is {version}; the known version is {VERSION}")
            }
            Fault::Flags(flags) => write!(f, "the envelope has unknown flags: {flags:#010b}"),
            Fault::Utf8 => f.write_str("the text in the envelope is not valid UTF-8"),
        }
    }
}

impl std::error::Error for InvalidEnvelope {}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::new(*b"node-one");

    #[test]
    fn a_message_keeps_its_kind_and_whether_it_can_be_compressed() {
        for compress in [Compress::Auto, Compress::Never] {
            for message in [
                Message::text("ahoy"),
                Message::text(""),
                Message::binary(&b"ahoy"[..]),
                Message::binary(&[0xFF, b'T', 9][..]),
            ] {
                let outgoing = Outgoing::from(&message).compress(compress);
                let bytes = Envelope::encode(NODE, outgoing);
                assert_eq!(bytes.len(), message.len() + Envelope::OVERHEAD);
                let envelope = Envelope::decode(bytes).unwrap();
                assert_eq!(envelope, Envelope { node: Some(NODE), message, compress });
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_documentation() {
        let bytes = Envelope::encode(NODE, Outgoing::from("hi").compress(Compress::Never));
        assert_eq!(&bytes[..], b"\xFFT\x01\x03node-onehi");
    }

    #[test]
    fn bytes_without_an_envelope_are_text_or_binary() {
        for (bytes, is_text) in [(&b"plain"[..], true), (b"", true), (b"\xFFU", false)] {
            let envelope = Envelope::decode(Bytes::from_static(bytes)).unwrap();
            assert_eq!((envelope.node, envelope.message.is_text()), (None, is_text));
            assert_eq!(envelope.message.as_bytes(), bytes);
        }
    }

    #[test]
    fn a_broken_envelope_is_an_error_that_says_why() {
        for (bytes, why) in [
            (&b"\xFFT"[..], "2 bytes; the least is 12"),
            (b"\xFFT\x01\x01node-on", "11 bytes"),
            (b"\xFFT\x02\x01node-one", "version is 2; the known version is 1"),
            (b"\xFFT\x01\x05node-one", "0b00000101"),
            (b"\xFFT\x01\x01node-one\xFF", "not valid UTF-8"),
        ] {
            let error = Envelope::decode(Bytes::from_static(bytes)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| NodeId::random()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
