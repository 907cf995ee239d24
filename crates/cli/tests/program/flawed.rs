//! An echo server that is wrong in one way.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use towline::OriginPolicy;
use towline_proto::handshake::{
    Accept, HeadLimits, Mechanism, Offer, encode_response, parse_request,
};

use crate::support::read_head;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    // In the handshake.
    AnyOrigin,
    AnyVersion,
    WrongAccept,
    ChoosesUnknown,
    StripsUpgrade,
    AnswersWithAPage,
    Redirects,
    SaysNothing,
    SpeaksNoHttp,
    // In what it takes.
    Unmasked,
    OverlooksMaskBit,
    InvalidUtf8,
    InvalidUtf8AcrossFragments,
    ReservedBit,
    ReservedOpcode,
    LongPing,
    Orphan,
    NoLimit,
    LimitOfFrames,
    DeclaredTerabyte,
    Hangs,
    // In what it sends.
    NoPong,
    OtherPong,
    Masks,
    NoEcho,
    ClosesAfterText,
    Floods,
    /// Closes each connection at once, as after credentials that are not valid.
    ClosesAtOnce,
    EndsAtOnce,
    ClosesFirst,
    ClosesOnPing,
    /// Accepts each Origin, and closes those that it does not want.
    ClosesForeign,
    // In how it ends.
    NoClose,
    EchoesAnyCode,
    OtherCode,
    HoldsTcp,
    KeepsHalfOpen,
    EndsIdle,
}

const LIMIT: usize = 64 << 10;

/// Starts it; it ends with the test's process. Returns its URL.
pub(crate) fn server(flaw: Flaw) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let is_later = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let is_later = is_later.clone();
            // A client that is gone is no failure of the test.
            thread::spawn(move || serve(stream.unwrap(), flaw, &is_later));
        }
    });
    format!("ws://{address}/")
}

fn serve(mut stream: TcpStream, flaw: Flaw, is_later: &AtomicBool) -> Option<()> {
    if flaw == Flaw::SpeaksNoHttp {
        return stream.write_all(b"220 mail.example ESMTP\r\n").ok();
    }
    if flaw == Flaw::SaysNothing {
        return stream.read_to_end(&mut Vec::new()).ok().map(drop);
    }
    let mut first = [0];
    // `check` dials once without a request.
    stream.peek(&mut first).ok().filter(|count| *count > 0)?;
    let is_foreign = handshake(&mut stream, flaw)?;
    let is_later = is_later.swap(true, Ordering::Relaxed);
    if flaw == Flaw::EndsAtOnce {
        return None;
    }
    if flaw == Flaw::Floods {
        while stream.write_all(&[0x82, 1, 7].repeat(1000)).is_ok() {}
        return None;
    }
    if flaw == Flaw::EndsIdle {
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    }
    let mut peer = Peer { stream, flaw, message: None, is_text: false };
    let closes_at_once = match flaw {
        Flaw::ClosesAtOnce => true,
        Flaw::ClosesFirst => !is_later,
        Flaw::ClosesForeign => is_foreign,
        _ => false,
    };
    let outcome = if closes_at_once { Ok(()) } else { peer.run() };
    if closes_at_once {
        peer.send(0x88, &[&4001_u16.to_be_bytes()[..], b"token expired"].concat());
    }
    if let Err(Some(code)) = outcome {
        peer.send(0x88, &code.to_be_bytes());
    }
    if flaw == Flaw::HoldsTcp || outcome == Err(None) {
        thread::sleep(Duration::from_secs(30));
    }
    // Unread bytes would make a reset of it.
    let _ = peer.stream.shutdown(Shutdown::Write);
    let _ = peer.stream.set_read_timeout(Some(Duration::from_millis(500)));
    let _ = peer.stream.read_to_end(&mut Vec::new());
    Some(())
}

/// Returns whether the Origin is that of another site.
fn handshake(stream: &mut TcpStream, flaw: Flaw) -> Option<bool> {
    let head = read_head(stream);
    let (mut request, _) = parse_request(&head, &HeadLimits::default()).ok()??;
    let plain = match flaw {
        Flaw::StripsUpgrade => {
            "HTTP/1.1 400 Bad Request\r\nVia: 1.1 proxy\r\nContent-Length: 16\r\n\r\nUpgrade required"
        }
        Flaw::AnswersWithAPage => {
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\n<html>welcome!</html>"
        }
        Flaw::Redirects => {
            "HTTP/1.1 302 Found\r\nLocation: ws://u:s3cret@127.0.0.1:1/?token=s3cret\r\nContent-Length: 0\r\n\r\n"
        }
        _ => "",
    };
    if !plain.is_empty() {
        return stream.write_all(plain.as_bytes()).ok().and(None);
    }
    if flaw == Flaw::AnyVersion {
        request.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("13"));
    }
    let is_foreign = request.headers().contains_key("origin");
    let policy = match flaw {
        Flaw::AnyOrigin | Flaw::ClosesForeign => OriginPolicy::Any,
        _ => OriginPolicy::SameOrigin,
    };
    let accepted = Offer::from_request(&request)
        .map_err(|rejection| Box::new(rejection.response(Mechanism::Http1Upgrade)));
    let accepted = accepted.and_then(|offer| {
        let name = offer.protocols().first().map(|name| name.as_str().to_owned());
        let known = name.filter(|name| name == "chat.v2");
        let accept = known.map_or_else(Accept::new, |name| Accept::new().protocol(name));
        offer.accept(&accept, &policy).map_err(|_| Box::new(refusal()))
    });
    let mut out = Vec::new();
    match accepted {
        Ok((mut response, _)) => {
            let headers = response.headers_mut();
            if flaw == Flaw::WrongAccept {
                headers.insert(
                    "sec-websocket-accept",
                    HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                );
            }
            if flaw == Flaw::ChoosesUnknown {
                headers.insert("sec-websocket-protocol", HeaderValue::from_static("of-its-own"));
            }
            encode_response(&response, &mut out);
            stream.write_all(&out).ok().map(|()| is_foreign)
        }
        Err(response) => {
            encode_response(&*response, &mut out);
            out.extend_from_slice(response.body());
            stream.write_all(&out).ok().and(None)
        }
    }
}

fn refusal() -> Response<bytes::Bytes> {
    let response = Response::builder().status(StatusCode::FORBIDDEN).header("content-length", 0);
    response.body(bytes::Bytes::new()).unwrap()
}

struct Peer {
    stream: TcpStream,
    flaw: Flaw,
    /// The fragments so far.
    message: Option<Vec<u8>>,
    is_text: bool,
}

/// The code to close with, if the client broke the protocol, or nothing for one that hangs.
type Broken = Option<u16>;

impl Peer {
    fn run(&mut self) -> Result<(), Broken> {
        loop {
            let Some(()) = self.frame()? else { return Ok(()) };
        }
    }

    fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        let bit = if self.flaw == Flaw::Masks { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..=125 => frame.push(bit | u8::try_from(len).unwrap()),
            len @ 126..=0xFFFF => {
                frame.push(bit | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                frame.push(bit | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        if bit != 0 {
            frame.extend([0; 4]);
        }
        frame.extend_from_slice(payload);
        let _ = self.stream.write_all(&frame);
    }

    /// Fails the connection, unless that is what this server does not do.
    fn refuse(&self, flaw: Flaw, code: u16) -> Result<(), Broken> {
        match self.flaw {
            Flaw::Hangs => Err(None),
            own if own == flaw => Ok(()),
            _ => Err(Some(code)),
        }
    }

    /// Handles a frame. Returns `None` at the end.
    fn frame(&mut self) -> Result<Option<()>, Broken> {
        let Some(start) = self.read(2) else {
            if self.flaw == Flaw::KeepsHalfOpen {
                return Err(None);
            }
            return Ok(None);
        };
        let (first, opcode, is_masked) = (start[0], start[0] & 0x0F, start[1] & 0x80 != 0);
        let len = match start[1] & 0x7F {
            126 => self.read(2).map(|bytes| u64::from(u16::from_be_bytes([bytes[0], bytes[1]]))),
            127 => self.read(8).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap())),
            len => Some(u64::from(len)),
        };
        let Some(len) = len else { return Ok(None) };
        if len > 1 << 30 {
            self.refuse(Flaw::DeclaredTerabyte, 1009)?;
            return Err(None);
        } else if len > LIMIT as u64 {
            self.refuse(Flaw::NoLimit, 1009)?;
        }
        if !is_masked && self.flaw != Flaw::OverlooksMaskBit {
            self.refuse(Flaw::Unmasked, 1002)?;
        }
        if first & 0x70 != 0 {
            self.refuse(Flaw::ReservedBit, 1002)?;
        }
        if ![0, 1, 2, 8, 9, 10].contains(&opcode) {
            self.refuse(Flaw::ReservedOpcode, 1002)?;
        }
        let is_control = opcode & 8 != 0;
        if is_control && first & 0x80 == 0 {
            return Err(Some(1002));
        }
        if is_control && len > 125 {
            self.refuse(Flaw::LongPing, 1002)?;
        }
        let key = if is_masked || self.flaw == Flaw::OverlooksMaskBit {
            self.read(4)
        } else {
            Some(vec![0; 4])
        };
        let Some(key) = key else { return Ok(None) };
        let Some(mut payload) = self.read(usize::try_from(len).unwrap()) else { return Ok(None) };
        for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        match opcode {
            8 => return self.close(&payload),
            9 if self.flaw == Flaw::NoPong => {}
            9 if self.flaw == Flaw::ClosesOnPing => return Err(Some(4001)),
            9 if self.flaw == Flaw::OtherPong && len == 125 => self.send(0x8A, b"other"),
            9 => self.send(0x8A, &payload),
            0..=2 => return self.data(opcode, first & 0x80 != 0, &payload).map(Some),
            _ => {}
        }
        Ok(Some(()))
    }

    fn data(&mut self, opcode: u8, is_last: bool, payload: &[u8]) -> Result<(), Broken> {
        match (opcode, &mut self.message) {
            (0, None) => {
                self.refuse(Flaw::Orphan, 1002)?;
                return Ok(());
            }
            (0, Some(message)) => message.extend_from_slice(payload),
            (_, Some(_)) => return Err(Some(1002)),
            (_, None) => {
                self.is_text = opcode == 1;
                self.message = Some(payload.to_vec());
            }
        }
        let in_one = opcode != 0 && is_last;
        if self.message.as_ref().is_some_and(|message| message.len() > LIMIT)
            && self.flaw != Flaw::NoLimit
        {
            self.refuse(Flaw::LimitOfFrames, 1009)?;
        }
        if !is_last {
            return Ok(());
        }
        let message = self.message.take().unwrap();
        if self.is_text && std::str::from_utf8(&message).is_err() && self.flaw != Flaw::InvalidUtf8
        {
            match in_one {
                true => return Err(Some(1007)),
                false => self.refuse(Flaw::InvalidUtf8AcrossFragments, 1007)?,
            }
        }
        match self.flaw {
            Flaw::NoEcho => {}
            Flaw::ClosesAfterText if self.is_text => return Err(Some(1008)),
            _ => self.send(if self.is_text { 0x81 } else { 0x82 }, &message),
        }
        Ok(())
    }

    fn close(&mut self, payload: &[u8]) -> Result<Option<()>, Broken> {
        let code = payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
        let is_valid = code.is_none_or(|code| towline::CloseCode::new(code).is_sendable());
        let is_text = payload.len() < 2 || std::str::from_utf8(&payload[2..]).is_ok();
        match (self.flaw, code) {
            (Flaw::NoClose, _) => return Err(None),
            (Flaw::EchoesAnyCode, _) => {}
            _ if !is_valid || payload.len() == 1 => return Err(Some(1002)),
            _ if !is_text => return Err(Some(1007)),
            (Flaw::OtherCode, Some(_)) => return Err(Some(1001)),
            _ => {}
        }
        self.send(0x88, &payload[..payload.len().min(2)]);
        Ok(None)
    }
}
