//! What is sent: messages of a size, the lines of a file, or templates.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use towline::{Message, MessageRef};

use crate::bench::options::Options;
use crate::bench::random::{Random, STEP};
use crate::bench::results::{Payload, Scenario};
use crate::exit::{Exit, Failure};
use crate::network;

/// The largest file that is read.
const LARGEST_FILE: u64 = 256 << 20;

/// The bytes of a default message, unless the scenario needs more.
const DEFAULT_SIZE: usize = 64;

/// The least bytes of a broadcast: its stamp must fit.
const BROADCAST_SIZE: usize = 64;

/// What messages are made of. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    parts: Arc<[Part]>,
    kind: &'static str,
    is_text: bool,
}

/// One of the messages that are sent in turn.
#[derive(Debug)]
enum Part {
    Same(Message),
    Template(Template),
    /// A stamp, filled up to this many bytes.
    Stamped(usize),
}

/// A text with parts that differ from message to message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Seq,
    Connection,
    Id,
    Random,
    Now,
    Stamp,
}

const NAMES: [(&str, Piece); 6] = [
    ("seq", Piece::Seq),
    ("connection", Piece::Connection),
    ("id", Piece::Id),
    ("random", Piece::Random),
    ("now", Piece::Now),
    ("stamp", Piece::Stamp),
];

/// What a message is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The number of the connection, and of its message.
    pub(crate) connection: u64,
    pub(crate) seq: u64,
    /// How many connections the whole load has.
    pub(crate) connections: u64,
    pub(crate) stamp: &'a str,
}

/// A message to send: it is kept only if it differs from others.
#[derive(Debug, Clone)]
pub(crate) enum Made {
    /// The part of this index.
    Same(usize),
    Own(Message),
}

impl Source {
    /// What the options ask for.
    pub(crate) fn of(options: &Options) -> Result<Self, Failure> {
        let is_text = !options.binary;
        let is_broadcast = options.scenario == Scenario::Broadcast;
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let part = |option: &str, text: &str| -> Result<Part, Failure> {
            if options.literal {
                return Ok(Part::Same(message(is_text, text.to_owned().into_bytes())));
            }
            let template =
                Template::parse(text).map_err(|why| usage(format!("{option}: {why}")))?;
            Ok(match &template.0[..] {
                [] => Part::Same(message(is_text, Vec::new())),
                [Piece::Text(text)] => Part::Same(message(is_text, text.clone().into_bytes())),
                _ => Part::Template(template),
            })
        };
        let (kind, parts) = if let Some(path) = &options.file {
            let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            if length > LARGEST_FILE {
                return Err(usage(format!(
                    "--file: {} has {length} bytes: the limit is {LARGEST_FILE}",
                    path.display()
                )));
            }
            let contents = network::read("--file", path)?;
            let text = std::str::from_utf8(&contents)
                .map_err(|_| usage(format!("--file: {} is not UTF-8", path.display())))?;
            let lines: Result<Vec<_>, _> = text.lines().map(|line| part("--file", line)).collect();
            ("file", lines?)
        } else if !options.message.is_empty() {
            let texts = options.message.iter();
            let parts: Vec<_> =
                texts.map(|text| part("--message", text)).collect::<Result<_, _>>()?;
            let varies = parts.iter().any(|part| matches!(part, Part::Template(_)));
            (if varies { "template" } else { "message" }, parts)
        } else if is_broadcast {
            let size = options.size.unwrap_or(BROADCAST_SIZE);
            if size < BROADCAST_SIZE {
                return Err(usage(format!(
                    "--size: a broadcast has {BROADCAST_SIZE} bytes or more, for its stamp, and not {size}"
                )));
            }
            ("size", vec![Part::Stamped(size)])
        } else {
            let size = options.size.unwrap_or(DEFAULT_SIZE);
            ("size", vec![Part::Same(message(is_text, random_payload(is_text, size)))])
        };
        if parts.is_empty() {
            return Err(usage("--file: there is no line in it".to_owned()));
        }
        let has_stamp = |part: &Part| match part {
            Part::Same(_) => false,
            Part::Template(template) => template.0.contains(&Piece::Stamp),
            Part::Stamped(_) => true,
        };
        if is_broadcast && !parts.iter().all(has_stamp) {
            let message =
                "--scenario broadcast: messages need {{stamp}}, by which they are recognised";
            return Err(usage(message.to_owned()));
        }
        Ok(Self { parts: parts.into(), kind, is_text })
    }

    /// The messages to send on a connection when it is open.
    pub(crate) fn on_open(options: &Options) -> Result<Vec<Self>, Failure> {
        let one = |text: &String| {
            let template = match options.literal {
                true => Template(vec![Piece::Text(text.clone())]),
                false => Template::parse(text)
                    .map_err(|why| Failure::new(Exit::Usage, format!("--on-open: {why}")))?,
            };
            let is_text = !options.binary;
            Ok(Self { parts: [Part::Template(template)].into(), kind: "template", is_text })
        };
        options.on_open.iter().map(one).collect()
    }

    /// What it is, for the results.
    pub(crate) fn described(&self, scenario: Scenario) -> Payload {
        let kind = if self.is_text { "text" } else { "binary" }.to_owned();
        if matches!(scenario, Scenario::Push | Scenario::Storm | Scenario::Idle) {
            return Payload { kind, source: "none".to_owned(), bytes: 0 };
        }
        let place =
            Place { connection: 0, seq: 0, connections: 1, stamp: &"x".repeat(STAMP_LENGTH) };
        let lengths = (0..self.parts.len()).map(|index| self.make_part(index, place).1);
        let bytes = lengths.sum::<usize>() / self.parts.len();
        Payload { kind, source: self.kind.to_owned(), bytes: bytes as u64 }
    }

    /// The largest bytes that an unanswered message keeps.
    pub(crate) fn kept_bytes(&self) -> usize {
        let kept = self.parts.iter().map(|part| match part {
            Part::Same(_) => 0,
            Part::Stamped(size) => *size,
            Part::Template(template) => template.longest(),
        });
        kept.max().unwrap_or_default()
    }

    /// Makes the message for a place. Returns its bytes, too.
    pub(crate) fn make(&self, place: Place<'_>) -> (Made, usize) {
        // As many parts as there are messages of a connection would be too many for one line.
        #[allow(clippy::cast_possible_truncation)]
        let index = ((place.connection.wrapping_add(place.seq)) % self.parts.len() as u64) as usize;
        self.make_part(index, place)
    }

    fn make_part(&self, index: usize, place: Place<'_>) -> (Made, usize) {
        let bytes = match &self.parts[index] {
            Part::Same(message) => return (Made::Same(index), message.len()),
            Part::Template(template) => template.fill(place).into_bytes(),
            Part::Stamped(size) => {
                let mut bytes = place.stamp.as_bytes().to_vec();
                bytes.resize((*size).max(bytes.len()), b'.');
                bytes
            }
        };
        let length = bytes.len();
        (Made::Own(message(self.is_text, bytes)), length)
    }

    /// The message itself.
    pub(crate) fn message<'a>(&'a self, made: &'a Made) -> MessageRef<'a> {
        match made {
            Made::Own(message) => message.into(),
            Made::Same(index) => match &self.parts[*index] {
                Part::Same(message) => message.into(),
                // Only made of the others.
                Part::Template(_) | Part::Stamped(_) => MessageRef::binary(b""),
            },
        }
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else { break };
            let Some((_, piece)) = NAMES.iter().find(|(known, _)| *known == name.trim()) else {
                let known = NAMES.map(|(name, _)| format!("{{{{{name}}}}}")).join(", ");
                return Err(format!(
                    "{:?} can't be replaced: there are {known}, and --literal replaces nothing",
                    format!("{{{{{name}}}}}")
                ));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(piece.clone());
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    fn fill(&self, place: Place<'_>) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(self.longest());
        for piece in &self.0 {
            let _ = match piece {
                Piece::Text(piece) => text.write_str(piece),
                Piece::Seq => write!(text, "{}", place.seq),
                Piece::Connection => write!(text, "{}", place.connection),
                Piece::Id => {
                    let before = place.seq.wrapping_mul(place.connections);
                    write!(text, "{}", before.wrapping_add(place.connection))
                }
                Piece::Random => write!(text, "{:016x}", random(place.connection, place.seq)),
                Piece::Now => write!(text, "{}", unix_now() / 1_000_000),
                Piece::Stamp => text.write_str(place.stamp),
            };
        }
        text
    }

    fn longest(&self) -> usize {
        let lengths = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Stamp => STAMP_LENGTH,
            _ => 20,
        });
        lengths.sum()
    }
}

fn message(is_text: bool, bytes: Vec<u8>) -> Message {
    match is_text {
        // It was text before.
        true => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
        false => Message::binary(bytes),
    }
}

/// Letters or bytes that hardly compress. They are the same in each run, so that runs can be compared.
fn random_payload(is_text: bool, size: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let byte = |index: usize| {
        let byte = Random((index as u64).wrapping_mul(STEP)).next().to_le_bytes()[0];
        if is_text { LETTERS[usize::from(byte % 64)] } else { byte }
    };
    (0..size).map(byte).collect()
}

/// A number that looks random, for a message of this run.
fn random(connection: u64, seq: u64) -> u64 {
    use std::hash::BuildHasher as _;
    // The standard library's only source of randomness.
    static KEY: std::sync::LazyLock<std::hash::RandomState> =
        std::sync::LazyLock::new(Default::default);
    KEY.hash_one((connection, seq))
}

/// Nanoseconds since 1970.
pub(crate) fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// A stamp begins with this. JSON and most envelopes leave it as it is.
const MARK: &str = "towline-bench-";

/// The most bytes of a stamp.
const STAMP_LENGTH: usize = MARK.len() + 2 + 20 + 1;

/// The stamp of a message of the measured phase, or of one before, that was due at this time.
pub(crate) fn stamp(is_measured: bool, due: u64) -> String {
    format!("{MARK}{}-{due}.", if is_measured { 'm' } else { 'w' })
}

/// Finds a stamp in a message: whether it is of the measured phase, and when it was due.
pub(crate) fn find_stamp(message: &[u8]) -> Option<(bool, u64)> {
    let start = message.windows(MARK.len()).position(|window| window == MARK.as_bytes())?;
    let rest = &message[start + MARK.len()..];
    let rest = &rest[..rest.len().min(STAMP_LENGTH)];
    let (phase, rest) =
        std::str::from_utf8(rest.split(|byte| *byte == b'.').next()?).ok()?.split_once('-')?;
    Some((phase == "m", rest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let place = Place { connection: 3, seq: 7, connections: 10, stamp: "s" };
        Template::parse(text).unwrap().fill(place)
    }

    #[test]
    fn counters_are_filled_in() {
        assert_eq!(filled(r#"{"a":{{seq}},"b":{"c":{{ connection }}}}"#), r#"{"a":7,"b":{"c":3}}"#);
        assert_eq!(filled("{{id}} {{stamp}} {{ }"), "73 s {{ }");
        assert_eq!(filled("{{random}}").len(), 16);
        assert_ne!(random(1, 2), random(2, 1));
        assert!(filled("{{now}}").parse::<u64>().unwrap() > 1_700_000_000_000);
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        let error = Template::parse("a {{sequence}}").unwrap_err();
        assert!(error.contains("{{sequence}}") && error.contains("{{seq}}"), "{error}");
        assert!(error.contains("--literal"), "{error}");
    }

    #[test]
    fn ids_of_all_connections_differ() {
        let place = |connection, seq| Place { connection, seq, connections: 4, stamp: "" };
        let template = Template::parse("{{id}}").unwrap();
        let places = (0..4).flat_map(|connection| (0..5).map(move |seq| place(connection, seq)));
        let ids: std::collections::HashSet<_> = places.map(|place| template.fill(place)).collect();
        assert_eq!(ids.len(), 20);
    }

    #[test]
    fn a_stamp_is_found_in_what_is_around_it() {
        let stamp = stamp(true, 1_764_259_200_123_456_789);
        assert!(stamp.len() <= STAMP_LENGTH, "{stamp}");
        let found = Some((true, 1_764_259_200_123_456_789));
        assert_eq!(find_stamp(stamp.as_bytes()), found);
        assert_eq!(find_stamp(format!("{{\"data\":\"é{stamp}...\"}}").as_bytes()), found);
        for none in ["", "towline-bench-", "towline-bench-m-", "towline-bench-m-x.", "towline"] {
            assert_eq!(find_stamp(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn random_payloads_are_the_same_in_each_run() {
        assert_eq!(random_payload(true, 100), random_payload(true, 100));
        assert!(random_payload(true, 1000).is_ascii());
        assert_eq!(random_payload(false, 10).len(), 10);
    }
}
