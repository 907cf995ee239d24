//! One end of a TLS session, without I/O: ciphertext in and out, plaintext in and out.
//!
//! The records are rustls's affair (its unbuffered interface, which keeps no bytes); where they lie
//! is decided here.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{CommonState, Error};
use towline_proto::Role;

/// How long a record can be, with its header and what encrypting it adds.
pub(crate) const RECORD_MAX: usize = 5 + (16 << 10) + 256;

/// How much plaintext there is in a record at the most.
pub(crate) const FRAGMENT_MAX: usize = 16 << 10;

/// How long the record is that begins here, with its header, if that has come (RFC 8446, section 5.1).
pub(crate) fn record_len(bytes: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low] = bytes.first_chunk()?;
    Some(5 + usize::from(u16::from_be_bytes([high, low])))
}

/// A session of either end.
pub(crate) enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Where ciphertext goes: a buffer that is no larger than it has to be, filled from the front.
pub(crate) struct Outgoing<'a> {
    pub(crate) buffer: &'a mut Vec<u8>,
    /// How much of it is filled. What is behind has any content.
    pub(crate) filled: usize,
}

/// What was taken off the front of what came.
pub(crate) struct Taken {
    pub(crate) count: usize,
    /// Whether the peer has said that nothing more comes.
    pub(crate) is_end: bool,
}

/// What to do once the session has taken what came.
enum Then<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

/// What a step has come to.
enum Step {
    GoOn,
    /// It waits for more of the peer.
    Rests,
    /// The peer has said that nothing more comes.
    PeerClosed,
}

impl Session {
    /// Which end this is.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Client(_) => Role::Client,
            Self::Server(_) => Role::Server,
        }
    }

    /// What both ends have.
    pub(crate) fn common(&self) -> &CommonState {
        match self {
            Self::Client(client) => client,
            Self::Server(server) => server,
        }
    }

    /// Takes whole records off the front of `incoming` and gives away what was in them. The rest
    /// is to be kept as it is, since parts of it may have been decrypted where they lie.
    ///
    /// After an error, `incoming` is of no use; what there is to be sent says why.
    pub(crate) fn receive(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing<'_>,
        received: &mut impl FnMut(&[u8]),
    ) -> Result<Taken, Error> {
        let result = self.go_on(incoming, outgoing, received, &Then::Nothing);
        // The alert was queued behind what is told first. As long as there is one, rustls does not look
        // at what came, which it would judge once more: with another alert, which it takes for a
        // mistake of its own, and panics where debug assertions are on.
        while result.is_err() && self.common().wants_write() {
            if self.go_on_once(&mut [], outgoing, &mut |_| (), &Then::Nothing).1.is_err() {
                break;
            }
        }
        result
    }

    /// Encrypts this, in as many records as it takes. `kept` is what [`receive`](Self::receive) has
    /// left.
    pub(crate) fn send(
        &mut self,
        kept: &mut [u8],
        plaintext: &[u8],
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), Error> {
        self.go_on(kept, outgoing, &mut |_| (), &Then::Encrypt(plaintext)).map(drop)
    }

    /// Says that nothing more is sent.
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
                // It is told once. Sending goes on.
                Step::PeerClosed => taken.is_end = true,
            }
        }
    }

    /// One step, and how much of `incoming` it is done with.
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

/// Deals with one state of the session.
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
            // From here on the stream sees to it.
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
        // Nobody is offered to send any.
        Ok(ConnectionState::ReadEarlyData(_)) => {
            Err(Error::General("early data that was not asked for".into()))
        }
        Ok(_) => Err(Error::General("rustls is in a state that is not known here".into())),
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
    /// Has `put` fill what is free, after making room where that is too little.
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
