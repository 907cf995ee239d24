//! One end of a TLS session, without I/O: ciphertext in and out, plaintext in and out.
//!
//! rustls processes the records, by its unbuffered interface, which keeps no bytes. This module
//! manages their buffers.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{CommonState, Error};
use towline_proto::Role;

/// The greatest length of a record, with its header and the overhead of encryption.
pub(crate) const RECORD_MAX: usize = 5 + (16 << 10) + 256;

/// The most plaintext that a record can contain.
pub(crate) const FRAGMENT_MAX: usize = 16 << 10;

/// The length of the record that begins here, with its header, if the header is complete (RFC 8446,
/// section 5.1).
pub(crate) fn record_len(bytes: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low] = bytes.first_chunk()?;
    Some(5 + usize::from(u16::from_be_bytes([high, low])))
}

/// A session of either end.
pub(crate) enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// A buffer for ciphertext, which is filled from the front and grows as needed.
pub(crate) struct Outgoing<'a> {
    pub(crate) buffer: &'a mut Vec<u8>,
    /// The number of filled bytes. The content after them is arbitrary.
    pub(crate) filled: usize,
}

/// The bytes that were taken off the front of the input.
pub(crate) struct Taken {
    pub(crate) count: usize,
    /// Whether the peer has sent `close_notify`.
    pub(crate) is_end: bool,
}

/// What to do when the session has processed its input.
enum Then<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

/// The result of a step.
enum Step {
    GoOn,
    /// It waits for more input.
    Rests,
    /// The peer has sent `close_notify`.
    PeerClosed,
}

impl Session {
    /// Returns which end this is.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Client(_) => Role::Client,
            Self::Server(_) => Role::Server,
        }
    }

    /// The state that both kinds of sessions have in common.
    pub(crate) fn common(&self) -> &CommonState {
        match self {
            Self::Client(client) => client,
            Self::Server(server) => server,
        }
    }

    /// Takes whole records off the front of `incoming`, and passes their plaintext to `received`.
    /// The rest has to be kept unchanged, since parts of it can be decrypted in place already.
    ///
    /// After an error, `incoming` is not usable, and `outgoing` holds an alert.
    pub(crate) fn receive(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing<'_>,
        received: &mut impl FnMut(&[u8]),
    ) -> Result<Taken, Error> {
        let result = self.go_on(incoming, outgoing, received, &Then::Nothing);
        // rustls queues an alert, but returns the error first. Fetch the alert without input: while
        // an alert is queued, rustls does not process input, but afterwards it would fail on the
        // same input again with a second alert, which is a panic if debug assertions are on.
        while result.is_err() && self.common().wants_write() {
            if self.go_on_once(&mut [], outgoing, &mut |_| (), &Then::Nothing).1.is_err() {
                break;
            }
        }
        result
    }

    /// Encrypts the plaintext, in as many records as needed. `kept` holds the bytes that
    /// [`receive`](Self::receive) has left.
    pub(crate) fn send(
        &mut self,
        kept: &mut [u8],
        plaintext: &[u8],
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), Error> {
        self.go_on(kept, outgoing, &mut |_| (), &Then::Encrypt(plaintext)).map(drop)
    }

    /// Encrypts a `close_notify`.
    pub(crate) fn close(
        &mut self,
        kept: &mut [u8],
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), Error> {
        self.go_on(kept, outgoing, &mut |_| (), &Then::CloseNotify).map(drop)
    }

    fn go_on(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing<'_>,
        received: &mut impl FnMut(&[u8]),
        then: &Then<'_>,
    ) -> Result<Taken, Error> {
        let mut taken = Taken { count: 0, is_end: false };
        loop {
            let incoming = &mut incoming[taken.count..];
            let (discard, step) = self.go_on_once(incoming, outgoing, received, then);
            taken.count += discard;
            match step? {
                Step::GoOn => {}
                Step::Rests => return Ok(taken),
                // This is reported once. Sending is still possible.
                Step::PeerClosed => taken.is_end = true,
            }
        }
    }

    /// Makes one step. Also returns how many bytes of `incoming` it has consumed.
    fn go_on_once(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing<'_>,
        received: &mut impl FnMut(&[u8]),
        then: &Then<'_>,
    ) -> (usize, Result<Step, Error>) {
        match self {
            Self::Client(client) => {
                step(client.process_tls_records(incoming), outgoing, received, then)
            }
            Self::Server(server) => {
                step(server.process_tls_records(incoming), outgoing, received, then)
            }
        }
    }
}

/// Handles one state of the session.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outgoing<'_>,
    received: &mut impl FnMut(&[u8]),
    then: &Then<'_>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    received(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Step::GoOn),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            outgoing.put(|room| match data.encode(room) {
                Err(EncodeError::InsufficientSize(size)) => Put::TooSmall(size),
                Err(EncodeError::AlreadyEncoded) => Put::Filled(0),
                Ok(count) => Put::Filled(count),
            })
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // The stream transmits it.
            data.done();
            Ok(Step::GoOn)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            let done = match then {
                Then::Nothing => Ok(Step::Rests),
                Then::Encrypt(plaintext) => {
                    outgoing.put(|room| put_encrypted(traffic.encrypt(plaintext, room)))
                }
                Then::CloseNotify => {
                    outgoing.put(|room| put_encrypted(traffic.queue_close_notify(room)))
                }
            };
            done.map(|_| Step::Rests)
        }
        Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => Ok(Step::Rests),
        Ok(ConnectionState::PeerClosed) => Ok(Step::PeerClosed),
        // The server's configuration does not allow early data.
        Ok(ConnectionState::ReadEarlyData(_)) => {
            Err(Error::General("early data that was not asked for".into()))
        }
        Ok(_) => Err(Error::General("rustls is in an unknown state".into())),
    };
    (discard, step)
}

enum Put {
    Filled(usize),
    TooSmall(InsufficientSizeError),
    Exhausted,
}

fn put_encrypted(result: Result<usize, EncryptError>) -> Put {
    match result {
        Ok(count) => Put::Filled(count),
        Err(EncryptError::InsufficientSize(size)) => Put::TooSmall(size),
        Err(EncryptError::EncryptExhausted) => Put::Exhausted,
    }
}

impl Outgoing<'_> {
    /// Calls `put` with the free part of the buffer, which grows until it is large enough.
    fn put(&mut self, mut put: impl FnMut(&mut [u8]) -> Put) -> Result<Step, Error> {
        loop {
            match put(&mut self.buffer[self.filled..]) {
                Put::Filled(count) => {
                    self.filled += count;
                    return Ok(Step::GoOn);
                }
                Put::TooSmall(InsufficientSizeError { required_size }) => {
                    self.buffer.resize(self.filled + required_size, 0);
                }
                Put::Exhausted => return Err(Error::EncryptError),
            }
        }
    }
}
