//! A connection on which every byte is chosen here.

use std::time::Duration;

use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use towline::{CloseCode, Opcode, Transport};

use crate::check::frames::{CLOSE, FIN, Frame, PING, PONG, decode, masked};

/// How long a server has to react by itself before it is pinged.
pub(crate) const QUIET: Duration = Duration::from_millis(250);

/// How long the server has to end the stream after its close frame.
const PARTING: Duration = Duration::from_secs(1);

/// The slowest network on which a large message is waited for, in bytes per second.
const SLOW: u64 = 128 << 10;

/// The most frames, and bytes beyond those expected, that are read in one step.
const MOST_FRAMES: usize = 2000;
const MOST_BYTES: usize = 8 << 20;

/// The payload of the ping that shows whether the server goes on.
const PROBE: &[u8] = b"still there?";

/// A WebSocket that is open.
pub(crate) struct Talk {
    stream: Transport,
    input: Vec<u8>,
    /// How long to wait for an answer.
    step: Duration,
    /// Nothing is waited for beyond this.
    deadline: Instant,
    /// The handshake's response.
    pub(crate) response: Response<()>,
    /// What no server may send, as the end of a sentence.
    pub(crate) oddities: Vec<String>,
    /// How many pings the server has sent.
    pub(crate) pings: usize,
    /// How many bytes of messages are on their way.
    expected: usize,
    is_closing: bool,
    /// The server ended it.
    pub(crate) is_over: bool,
}

/// How the byte stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The server closed it.
    Eof,
    Reset,
    /// The server sent what is no frame.
    Broken(String),
    /// The server sent more than is read.
    Flood,
}

/// What came in one step.
#[derive(Debug, Default, Clone)]
pub(crate) struct Reaction {
    pub(crate) messages: Vec<(Opcode, Vec<u8>)>,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// The server's close frame, with its code if it has one.
    pub(crate) close: Option<Option<CloseCode>>,
    /// The reason in it.
    pub(crate) reason: String,
    pub(crate) end: Option<End>,
    /// The fragments of a message that has not ended.
    pub(crate) partial: Option<(Opcode, Vec<u8>)>,
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

impl Reaction {
    pub(crate) fn is_over(&self) -> bool {
        self.close.is_some() || self.end.is_some()
    }

    /// Whether the server closed with a code that blames no frame: its own affairs, a policy, and what
    /// applications define (RFC 6455, section 7.4). An end that is closing owes no pong and no echo.
    pub(crate) fn is_its_own_close(&self) -> bool {
        let code = self.close.flatten().map(|code| code.get());
        matches!(code, Some(1000 | 1001 | 1008 | 1012..=1014 | 3000..=4999))
    }

    /// Whether the server answered the ping that followed.
    pub(crate) fn goes_on(&self) -> bool {
        self.pongs.iter().any(|pong| pong == PROBE)
    }

    /// The end of a sentence that begins with "the server".
    pub(crate) fn words(&self, step: Duration) -> String {
        match (&self.close, &self.end) {
            (Some(code), end) => {
                let code =
                    code.map_or("without a code".to_owned(), |code| format!("with {}", code.get()));
                let after = match end {
                    Some(End::Eof) => "",
                    Some(End::Reset) => ", and reset the connection",
                    Some(End::Broken(why)) => return format!("closed {code}, and then {why}"),
                    Some(End::Flood) => ", and sent more",
                    None => ", and left the connection open",
                };
                format!("closed {code}{after}")
            }
            (None, Some(End::Eof)) => "ended the connection without a close frame".to_owned(),
            (None, Some(End::Reset)) => "reset the connection without a close frame".to_owned(),
            (None, Some(End::Broken(why))) => why.clone(),
            (None, Some(End::Flood)) => "sent more than check reads".to_owned(),
            (None, None) if self.goes_on() => "went on: it answered a ping".to_owned(),
            (None, None) => format!("did not react within {step:?}"),
        }
    }
}

impl Talk {
    pub(crate) fn new(
        stream: Transport,
        input: Vec<u8>,
        response: Response<()>,
        (step, deadline): (Duration, Instant),
    ) -> Self {
        let oddities = Vec::new();
        let (pings, expected, is_closing, is_over) = (0, 0, false, false);
        Self {
            stream,
            input,
            step,
            deadline,
            response,
            oddities,
            pings,
            expected,
            is_closing,
            is_over,
        }
    }

    /// Writes these bytes. Whether the server took them shows when its answer is read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let until = self.until(self.step());
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let _ = timeout_at(until, writing).await;
    }

    /// Reads while the predicate does not hold, at most this long. After a close frame it waits for
    /// the end of the byte stream as well.
    pub(crate) async fn watch(
        &mut self,
        most: Duration,
        reaction: &mut Reaction,
        is_enough: impl Fn(&Reaction) -> bool,
    ) {
        let mut until = self.until(most);
        let mut is_closing = false;
        let mut chunk = vec![0; 16 << 10];
        while reaction.end.is_none() && (reaction.close.is_some() || !is_enough(reaction)) {
            if reaction.close.is_some() && !is_closing {
                is_closing = true;
                until = until.min(self.until(PARTING));
            }
            match decode(&self.input, self.expected + MOST_BYTES) {
                Ok(Some((frame, len))) => {
                    self.input.drain(..len);
                    self.take(frame, reaction).await;
                    continue;
                }
                Ok(None) => {}
                Err(why) => {
                    self.oddities.push(why.clone());
                    reaction.end = Some(End::Broken(why));
                    return;
                }
            }
            match timeout_at(until, self.stream.read(&mut chunk)).await {
                Err(_) => return,
                Ok(Ok(0)) => self.end(reaction, End::Eof),
                Ok(Ok(count)) => {
                    self.input.extend_from_slice(&chunk[..count]);
                    reaction.bytes += count;
                    if reaction.bytes > self.expected + MOST_BYTES {
                        reaction.end = Some(End::Flood);
                    }
                }
                // A TLS stream that ends without `close_notify` ends as a TCP stream does.
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.end(reaction, End::Eof);
                }
                Ok(Err(_)) => self.end(reaction, End::Reset),
            }
        }
    }

    fn end(&mut self, reaction: &mut Reaction, end: End) {
        self.is_over = true;
        reaction.end = Some(end);
    }

    /// Waits for the whole step.
    pub(crate) async fn answer(&mut self, is_enough: impl Fn(&Reaction) -> bool) -> Reaction {
        let mut reaction = Reaction::default();
        self.watch(self.step(), &mut reaction, is_enough).await;
        reaction
    }

    /// Sends what the server must refuse. If it does not, pings it to see whether it goes on.
    pub(crate) async fn provoke(&mut self, bytes: &[u8]) -> Reaction {
        self.send(bytes).await;
        let mut reaction = Reaction::default();
        self.watch(QUIET, &mut reaction, |_| false).await;
        if !reaction.is_over() {
            self.send(&masked(FIN | PING, PROBE)).await;
            self.watch(self.step(), &mut reaction, Reaction::goes_on).await;
        } else if reaction.end.is_none() {
            self.watch(self.step(), &mut reaction, |_| false).await;
        }
        reaction
    }

    /// Pings, to see whether the server goes on; messages before its answer are in the reaction.
    pub(crate) async fn probe(&mut self) -> Reaction {
        self.send(&masked(FIN | PING, PROBE)).await;
        self.answer(Reaction::goes_on).await
    }

    /// Ends the connection as a polite client does, without waiting long.
    pub(crate) async fn leave(mut self) -> Vec<String> {
        self.close(Some(CloseCode::NORMAL.get())).await;
        self.watch(QUIET, &mut Reaction::default(), |_| false).await;
        self.oddities
    }

    /// Sends a close frame.
    pub(crate) async fn close(&mut self, code: Option<u16>) {
        self.is_closing = true;
        let payload = code.map(u16::to_be_bytes);
        self.send(&masked(FIN | CLOSE, payload.as_ref().map_or(&[][..], |code| &code[..]))).await;
    }

    /// Ends the half of the stream that is written.
    pub(crate) async fn end_writing(&mut self) {
        self.is_closing = true;
        let until = self.until(self.step());
        let _ = timeout_at(until, self.stream.shutdown()).await;
    }

    /// How long to wait for an answer.
    pub(crate) fn step(&self) -> Duration {
        self.step + Duration::from_secs(self.expected as u64 / SLOW)
    }

    /// Makes it wait longer from here on, and read more: messages of this many bytes are on their way.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.expected = bytes;
    }

    fn until(&self, most: Duration) -> Instant {
        self.deadline.min(Instant::now() + most)
    }

    async fn take(&mut self, frame: Frame, reaction: &mut Reaction) {
        self.criticise(&frame);
        reaction.frames += 1;
        if reaction.frames > MOST_FRAMES {
            reaction.end = Some(End::Flood);
            return;
        }
        match frame.opcode {
            Opcode::Ping => {
                self.pings += 1;
                if !self.is_closing {
                    self.send(&masked(FIN | PONG, &frame.payload)).await;
                }
            }
            Opcode::Pong => reaction.pongs.push(frame.payload),
            Opcode::Close => {
                self.is_over = true;
                let code = frame.payload.first_chunk::<2>();
                reaction.close = Some(code.map(|code| CloseCode::new(u16::from_be_bytes(*code))));
                let reason = frame.payload.get(2..).unwrap_or_default();
                reaction.reason = String::from_utf8_lossy(reason).into_owned();
            }
            Opcode::Text | Opcode::Binary if frame.fin => {
                reaction.messages.push((frame.opcode, frame.payload));
            }
            Opcode::Text | Opcode::Binary => reaction.partial = Some((frame.opcode, frame.payload)),
            Opcode::Continuation => {
                let Some((opcode, mut message)) = reaction.partial.take() else { return };
                message.extend_from_slice(&frame.payload);
                match frame.fin {
                    true => reaction.messages.push((opcode, message)),
                    false => reaction.partial = Some((opcode, message)),
                }
            }
        }
    }

    /// Notes what no server may send.
    fn criticise(&mut self, frame: &Frame) {
        let mut odd = |what: String| {
            if !self.oddities.contains(&what) {
                self.oddities.push(what);
            }
        };
        let opcode = frame.opcode;
        if frame.is_masked {
            odd(format!("masked a {opcode} frame (section 5.1)"));
        }
        if frame.rsv != 0 && !self.response.headers().contains_key("sec-websocket-extensions") {
            odd(format!("set a reserved bit of a {opcode} frame (section 5.2)"));
        }
        if opcode.is_control() && (frame.payload.len() > 125 || !frame.fin) {
            odd(format!(
                "sent a {opcode} frame that is fragmented or above 125 bytes (section 5.5)"
            ));
        }
        let code = frame.payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
        if opcode == Opcode::Close {
            match code {
                Some(code) if !CloseCode::new(code).is_sendable() => {
                    odd(format!("sent the close code {code} (section 7.4)"));
                }
                None if frame.payload.len() == 1 => {
                    odd("sent half a close code (section 5.5.1)".to_owned())
                }
                _ => {}
            }
        }
    }
}
