//! Opens the connections of all checks: one at a time, with pauses, and not more than a fixed number.

use std::fmt;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, ORIGIN};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout_at};
use towline::{Client, Config, Connect, HeadLimits, Transport};
use towline_proto::handshake::{encode_request, parse_response};

use crate::check::finding::{Finding, Level};
use crate::check::report::Report;
use crate::check::talk::Talk;
use crate::check::way::Way;

/// The most connections of a run. `--idle` may take two more.
pub(crate) const MOST_CONNECTIONS: usize = 50;

/// The most bytes of a refusal's body that are read.
const MOST_BODY: usize = 4096;

/// What every handshake asks for, unless a check changes it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) uri: Uri,
    pub(crate) origin: Option<String>,
    pub(crate) protocols: Vec<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What the server does with a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    Echoes,
    /// Sends something else.
    Answers,
    Silent,
    /// Closes the connection, with this code if there is one.
    Closes(Option<u16>),
    /// Not known yet.
    Unknown,
}

/// Runs the checks.
pub(crate) struct Doctor {
    pub(crate) way: Way,
    pub(crate) asked: Asked,
    pub(crate) report: Report,
    pub(crate) habit: Habit,
    /// The text message to send.
    pub(crate) message: String,
    /// Between two connections.
    pub(crate) pause: Duration,
    /// The end of the run.
    pub(crate) deadline: Instant,
    pub(crate) opened: usize,
    pub(crate) most: usize,
    /// When the next connection may be opened.
    pub(crate) next: Instant,
    /// Whether a check could not be made for lack of time.
    pub(crate) is_late: bool,
    /// What the server sent that no server may send.
    pub(crate) oddities: Vec<String>,
    /// How the server ends each connection at once, if it does: the end of a sentence.
    pub(crate) ends_each: Option<String>,
}

/// Why a check could not be made.
#[derive(Debug)]
pub(crate) enum Trouble {
    OutOfTime,
    /// As many as these were opened before.
    OutOfConnections(usize),
    /// The server did not answer in time.
    Silent(String),
    /// The server ended the connection without an answer.
    Ended(String),
    Failed(String),
    /// The server ends each connection at once, in this way.
    EndsEach(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTime => f.write_str("there was no time left (--timeout)"),
            Self::OutOfConnections(most) => {
                write!(f, "there were {most} connections before, the most that check opens")
            }
            Self::EndsEach(how) => write!(f, "the server ends each connection at once, {how}"),
            Self::Silent(why) | Self::Ended(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl Trouble {
    /// The line of a check that could not be made.
    pub(crate) fn of(self, check: &'static str) -> Finding {
        Finding::unseen(check, self.to_string())
    }
}

/// The response to a handshake.
pub(crate) struct Answer {
    pub(crate) response: Response<()>,
    /// The start of the body of a refusal.
    pub(crate) body: Vec<u8>,
    /// The connection, after a 101.
    pub(crate) talk: Option<Talk>,
    /// What `Sec-WebSocket-Accept` has to be.
    pub(crate) accept: String,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header of the response, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Ends the connection if there is one. Returns what the server did that it must not.
    pub(crate) async fn leave(self, doctor: &mut Doctor) {
        if let Some(talk) = self.talk {
            let oddities = talk.leave().await;
            doctor.note(oddities);
        }
    }
}

impl Doctor {
    /// Opens a connection and sends the handshake, changed by the check.
    pub(crate) async fn ask(
        &mut self,
        change: impl FnOnce(&mut Request<()>),
    ) -> Result<Answer, Trouble> {
        let mut connect = Connect::new().protocols(self.asked.protocols.iter().cloned());
        if let Some(origin) = &self.asked.origin {
            connect = connect.origin(origin);
        }
        for (name, value) in &self.asked.headers {
            connect = connect.header(name.clone(), value.clone());
        }
        let opening = connect.open(&self.asked.uri);
        let opening = opening.map_err(|error| Trouble::Failed(error.to_string()))?;
        let mut request = opening.request().clone();
        change(&mut request);
        let stream = self.stream().await?;
        let answer = self.exchange(stream, &request, opening.key().accept()).await;
        answer.map_err(|trouble| self.excused(trouble))
    }

    /// Why there is no connection that stays open, if that is known.
    pub(crate) fn closed(&self) -> Option<Trouble> {
        self.ends_each.clone().map(Trouble::EndsEach)
    }

    /// Opens a WebSocket as a usual client does, if one stays open.
    pub(crate) async fn talk(&mut self) -> Result<Talk, Trouble> {
        if let Some(trouble) = self.closed() {
            return Err(trouble);
        }
        let answer = self.ask(|_| ()).await?;
        let status = answer.status();
        answer
            .talk
            .ok_or_else(|| Trouble::Failed(format!("this time the server answered {status}")))
    }

    /// The library's client, which asks for the same.
    pub(crate) fn client(&self, config: Config) -> Client {
        self.way.client.clone().config(config)
    }

    /// A stream for one more connection, after the pause.
    pub(crate) async fn stream(&mut self) -> Result<Transport, Trouble> {
        self.take_a_place().await?;
        let stream = self.way.open(self.deadline).await;
        stream.map_err(|no_way| self.excused(Trouble::Failed(no_way.to_string())))
    }

    /// Whether the time of the run is over. Waits are cut short then, so a server that did not react is
    /// not to blame.
    pub(crate) fn is_late(&mut self) -> bool {
        let is_late = Instant::now() >= self.deadline;
        self.is_late |= is_late;
        is_late
    }

    /// Adds a line. One that speaks against the server is left out if the wait for it may have been cut
    /// short.
    pub(crate) fn add(&mut self, finding: Finding) {
        let finding = match finding.level > Level::Ok && self.is_late() {
            true => Trouble::OutOfTime.of(finding.check),
            false => finding,
        };
        self.report.add(finding);
    }

    /// What kept a check from being made: the time, if that is over.
    pub(crate) fn excused(&mut self, trouble: Trouble) -> Trouble {
        if self.is_late() { Trouble::OutOfTime } else { trouble }
    }

    /// Waits until one more connection may be opened.
    pub(crate) async fn take_a_place(&mut self) -> Result<(), Trouble> {
        if self.opened >= self.most {
            return Err(Trouble::OutOfConnections(self.most));
        }
        sleep_until(self.next.min(self.deadline)).await;
        if self.is_late() {
            return Err(Trouble::OutOfTime);
        }
        self.opened += 1;
        self.next = Instant::now() + self.pause;
        Ok(())
    }

    /// Remembers what the server sent that no server may send.
    pub(crate) fn note(&mut self, oddities: Vec<String>) {
        for oddity in oddities {
            if !self.oddities.contains(&oddity) {
                self.oddities.push(oddity);
            }
        }
    }

    /// Ends a connection politely.
    pub(crate) async fn leave(&mut self, talk: Talk) {
        let oddities = talk.leave().await;
        self.note(oddities);
    }

    /// Drops a connection that is over.
    pub(crate) fn drop(&mut self, talk: Talk) {
        self.note(talk.oddities);
    }

    async fn exchange(
        &self,
        mut stream: Transport,
        request: &Request<()>,
        accept: String,
    ) -> Result<Answer, Trouble> {
        let mut head = Vec::new();
        encode_request(request, &mut head);
        let until = self.deadline.min(Instant::now() + self.way.step);
        let failed =
            |error: std::io::Error| Trouble::Failed(format!("no answer to the handshake: {error}"));
        let exchange = async {
            stream.write_all(&head).await.map_err(failed)?;
            stream.flush().await.map_err(failed)?;
            let mut input = Vec::new();
            let response = read_response(&mut stream, &mut input).await?;
            Ok::<_, Trouble>((input, response))
        };
        let exchanged = timeout_at(until, exchange).await;
        let exchanged = exchanged.map_err(|_| {
            Trouble::Silent(format!("no answer to the handshake within {:?}", self.way.step))
        })?;
        let (mut input, response) = exchanged?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let times = (self.way.step, self.deadline);
            let talk = Talk::new(stream, input, response.clone(), times);
            return Ok(Answer { response, body: Vec::new(), talk: Some(talk), accept });
        }
        let until = until.min(Instant::now() + Duration::from_millis(500));
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let most = length.unwrap_or(MOST_BODY).min(MOST_BODY);
        let mut chunk = [0; 1024];
        while input.len() < most {
            match timeout_at(until, stream.read(&mut chunk)).await {
                Ok(Ok(count)) if count > 0 => input.extend_from_slice(&chunk[..count]),
                _ => break,
            }
        }
        Ok(Answer { response, body: input, talk: None, accept })
    }
}

/// Reads up to the end of the head of a response; `input` has what follows it.
async fn read_response(
    stream: &mut Transport,
    input: &mut Vec<u8>,
) -> Result<Response<()>, Trouble> {
    let mut chunk = [0; 4096];
    loop {
        let parsed = parse_response(input, &HeadLimits::default());
        let parsed =
            parsed.map_err(|error| Trouble::Failed(format!("no HTTP response: {error}")))?;
        if let Some((response, len)) = parsed {
            input.drain(..len);
            let status = response.status();
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            return Ok(response);
        }
        let read = stream.read(&mut chunk).await;
        match read {
            Ok(0) => {
                let what =
                    if input.is_empty() { "without a response" } else { "within a response" };
                return Err(Trouble::Ended(format!("the server ended the connection {what}")));
            }
            Ok(count) => input.extend_from_slice(&chunk[..count]),
            Err(error) => {
                return Err(Trouble::Ended(format!("no answer to the handshake: {error}")));
            }
        }
    }
}

/// Replaces the origin of the request, or removes it.
pub(crate) fn set_origin(request: &mut Request<()>, origin: Option<&str>) {
    request.headers_mut().remove(ORIGIN);
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        request.headers_mut().insert(ORIGIN, origin);
    }
}
