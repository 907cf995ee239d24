//! Compression as the rest of the protocol sees it: what may be asked for, what was agreed on, and
//! the two halves that come of it.
//!
//! How it is done is behind the traits here, in `deflate`, which is there with the feature of that
//! name only. Nothing here depends on whether it is.

use std::fmt;

use bytes::Bytes;

use crate::role::Role;

/// Whether and how to compress: what a configuration holds, and a handshake negotiates.
///
/// It is made of a [`Deflate`], of which there is one with the feature `deflate`.
///
/// [`Deflate`]: https://docs.rs/towline-proto/latest/towline_proto/struct.Deflate.html
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    pub(crate) level: u8,
    pub(crate) threshold: u32,
    pub(crate) send: Direction,
    pub(crate) receive: Direction,
    /// Whether a client also offers to receive in a way that costs it more.
    pub(crate) fallback: bool,
    pub(crate) method: &'static dyn Method,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Direction {
    /// Whether a message may refer to those before it.
    pub(crate) takeover: bool,
    /// How far back it may refer, as the power of two; `None` where nothing is said, which is 15.
    pub(crate) window_bits: Option<u8>,
}

/// Compression as the two ends agreed on it, for one of them.
///
/// Made by the handshake; see [`Agreed`](crate::handshake::Agreed). What is to be sent and
/// received by it is told to [`Session`](crate::session::Session) and
/// [`Inbound`](crate::inbound::Inbound).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    pub(crate) role: Role,
    pub(crate) level: u8,
    pub(crate) threshold: u32,
    /// Whether and how far back this end refers to what it sent, which may be less than it may.
    pub(crate) send_takeover: bool,
    pub(crate) send_window_bits: u8,
    pub(crate) server: Direction,
    pub(crate) client: Direction,
    pub(crate) method: &'static dyn Method,
}

/// Whether a message is to be compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compress {
    /// If compression was negotiated, the message is not below the threshold, and it becomes
    /// shorter. Of a message longer than 64 KiB, the first 64 KiB decide on that.
    ///
    /// Where later messages may refer to it (context takeover), it may become longer: by up to
    /// 8 bytes with a window of 9 to 12 bits, if it takes no more than a quarter of that; and with 13
    /// to 15 bits a message of up to 64 KiB is compressed whatever comes of it.
    #[default]
    Auto,
    /// Never. For data that is compressed already (images, audio, archives), which costs time and
    /// becomes no shorter; and for a secret beside text that an attacker may choose: how short
    /// the two become together tells of the secret, even though the connection is encrypted
    /// (CRIME, BREACH).
    Never,
}

/// The parameters of an extension, as a handshake writes them.
pub(crate) type Params = Vec<(&'static str, Option<u8>)>;

/// The parameters of an extension, as a handshake has them.
pub(crate) type Pairs<'a> = &'a [(&'a str, Option<&'a str>)];

/// A way to compress.
pub(crate) trait Method: fmt::Debug + Send + Sync {
    /// The name of the extension.
    fn name(&self) -> &'static str;

    /// What a client offers, in the order of preference.
    fn offers(&self, wanted: &Compression) -> Vec<Params>;

    /// What a server makes of an offer, or `None` if it declines.
    fn answer(&self, wanted: &Compression, offered: Pairs<'_>) -> Option<Negotiated>;

    /// What a client makes of the server's answer, or what is wrong with that.
    fn accept(&self, wanted: &Compression, answered: Pairs<'_>) -> Result<Negotiated, String>;

    /// What was agreed on, as a server's answer says it.
    fn params(&self, negotiated: &Negotiated) -> Params;

    /// The half that receives.
    fn inflating(&self, negotiated: &Negotiated) -> Box<dyn Inflating>;

    /// The half that sends. There is none where all is to be sent as it is.
    fn deflating(&self, negotiated: &Negotiated) -> Option<Box<dyn Deflating>>;
}

impl PartialEq for dyn Method {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Method {}

/// Compressed data that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotInflatable;

/// Takes what was inflated, and says whether to go on.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// What inflates the messages of one direction, one after the other.
pub(crate) trait Inflating: fmt::Debug + Send + Sync {
    /// Inflates the next piece of a message, and hands on what comes of it chunk by chunk. A
    /// `sink` that has had enough ends the connection: nothing may be inflated after that.
    fn inflate(&mut self, piece: &[u8], sink: Sink<'_>) -> Result<(), NotInflatable>;

    /// Ends the message.
    fn finish(&mut self, sink: Sink<'_>) -> Result<(), NotInflatable>;
}

/// What became of the next fragment of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deflated {
    /// It was handed out, and was the last one or not.
    Fragment { is_last: bool },
    /// The message does not become shorter, and is to be sent as it is. Nothing was handed out.
    Plain,
}

/// What deflates the messages of one direction, one after the other.
pub(crate) trait Deflating: fmt::Debug + Send + Sync {
    /// Whether a message of this length is to be deflated.
    fn wants(&self, len: usize) -> bool;

    /// Deflates a message and hands it on, or returns `false` where it is better sent as it is.
    fn whole(&mut self, message: &[u8], sink: &mut dyn FnMut(&[u8])) -> bool;

    /// Deflates the next part of a long message, which it takes from `rest`, and hands on the next
    /// fragment, of at most so many bytes. To be called until it was the last one.
    fn fragment(
        &mut self,
        rest: &mut Bytes,
        most: usize,
        sink: &mut dyn FnMut(&[u8], bool),
    ) -> Deflated;

    /// Where messages do not refer to each other: a number that is the same for all that make the
    /// same of the same message.
    fn kind(&self) -> Option<u16>;
}
