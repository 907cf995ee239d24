//! Compression as seen by the rest of the protocol: the options, the negotiated parameters, and the
//! deflating and inflating halves.
//!
//! The implementation is behind the traits here, in `deflate`, which needs the feature `deflate`.
//! Nothing here depends on that feature.

use std::fmt;

use bytes::Bytes;

use crate::role::Role;

/// How to compress: the options that a configuration holds and a handshake negotiates.
///
/// Converted from a [`Deflate`], which needs the feature `deflate`.
///
/// [`Deflate`]: https://docs.rs/towline-proto/latest/towline_proto/struct.Deflate.html
///
/// `Deflate` has an example. [`Config::compression`](crate::config::Config::compression()) takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    pub(crate) level: u8,
    pub(crate) threshold: u32,
    pub(crate) send: Direction,
    pub(crate) receive: Direction,
    /// Whether a client also offers to receive in a way that takes more memory.
    pub(crate) fallback: bool,
    pub(crate) method: &'static dyn Method,
}

/// The parameters of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Direction {
    /// Whether a message may refer to earlier ones.
    pub(crate) takeover: bool,
    /// How far back it may refer, as a power of two; `None` is the default, 15.
    pub(crate) window_bits: Option<u8>,
}

/// The compression that the two ends negotiated, for one of them.
///
/// Created by the handshake; see [`Agreed`](crate::handshake::Agreed). Pass it to
/// [`Session`](crate::session::Session) and [`Inbound`](crate::inbound::Inbound).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    pub(crate) role: Role,
    pub(crate) level: u8,
    pub(crate) threshold: u32,
    /// Whether and how far back this end refers to earlier messages, which may be less than
    /// allowed.
    pub(crate) send_takeover: bool,
    pub(crate) send_window_bits: u8,
    pub(crate) server: Direction,
    pub(crate) client: Direction,
    pub(crate) method: &'static dyn Method,
}

/// Whether a message is to be compressed.
///
/// [`Outgoing`](crate::outgoing::Outgoing) has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compress {
    /// Compresses if compression was negotiated, the message is not below the threshold, and it
    /// shrinks. For a message over 64 KiB, the first 64 KiB decide.
    ///
    /// With context takeover, a compressed message may be larger than the original. With a window
    /// of 9 to 12 bits, it may grow by up to 8 bytes if it is no longer than a quarter of the
    /// window. With 13 to 15 bits, messages of up to 64 KiB are always compressed.
    #[default]
    Auto,
    /// Never compresses. Use it for data that is already compressed (images, audio, archives), and
    /// for secrets next to text that an attacker can choose: the compressed size reveals
    /// information about the secret even over an encrypted connection (CRIME, BREACH).
    Never,
}

/// The parameters of an extension, to be written in a handshake.
pub(crate) type Params = Vec<(&'static str, Option<u8>)>;

/// The parameters of an extension, as parsed from a handshake.
pub(crate) type Pairs<'a> = &'a [(&'a str, Option<&'a str>)];

/// A compression method.
pub(crate) trait Method: fmt::Debug + Send + Sync {
    /// The name of the extension.
    fn name(&self) -> &'static str;

    /// The client's offers, in order of preference.
    fn offers(&self, wanted: &Compression) -> Vec<Params>;

    /// The server's answer to an offer, or `None` to decline it.
    fn answer(&self, wanted: &Compression, offered: Pairs<'_>) -> Option<Negotiated>;

    /// The client's check of the server's answer, or what is wrong with that.
    fn accept(&self, wanted: &Compression, answered: Pairs<'_>) -> Result<Negotiated, String>;

    /// The parameters of the server's answer.
    fn params(&self, negotiated: &Negotiated) -> Params;

    /// Creates the receiving half.
    fn inflating(&self, negotiated: &Negotiated) -> Box<dyn Inflating>;

    /// Creates the sending half, or `None` if no message is to be compressed.
    fn deflating(&self, negotiated: &Negotiated) -> Option<Box<dyn Deflating>>;
}

impl PartialEq for dyn Method {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Method {}

/// The error for data that cannot be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotInflatable;

/// Takes inflated data, and returns whether to go on.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// Inflates the messages of one direction, one after the other.
pub(crate) trait Inflating: fmt::Debug + Send + Sync {
    /// Inflates the next piece of a message, and passes the data on in chunks. If `sink` returns
    /// `false`, the connection ends: nothing may be inflated after that.
    fn inflate(&mut self, piece: &[u8], sink: Sink<'_>) -> Result<(), NotInflatable>;

    /// Ends the message.
    fn finish(&mut self, sink: Sink<'_>) -> Result<(), NotInflatable>;
}

/// The result of deflating the next fragment of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deflated {
    /// The fragment was passed on.
    Fragment { is_last: bool },
    /// The message does not shrink and must be sent uncompressed. Nothing was passed on.
    Plain,
}

/// Deflates the messages of one direction, one after the other.
pub(crate) trait Deflating: fmt::Debug + Send + Sync {
    /// Returns whether a message of this length is to be deflated. If it is, longer ones are too.
    fn wants(&self, len: usize) -> bool;

    /// Deflates a message and passes it on. Returns `false` if it is better sent uncompressed.
    fn whole(&mut self, message: &[u8], sink: &mut dyn FnMut(&[u8])) -> bool;

    /// Deflates the next part of a long message, which it removes from `rest`, and passes on the
    /// next fragment of limited length. Call it until it returns the last one.
    fn fragment(
        &mut self,
        rest: &mut Bytes,
        most: usize,
        sink: &mut dyn FnMut(&[u8], bool),
    ) -> Deflated;

    /// Without context takeover: a number that is the same for all deflaters with the same output
    /// for the same message.
    fn kind(&self) -> Option<u16>;
}
