//! The subprotocol `towline.topics.v1`: what clients ask for, and what the server says. Its document
//! is docs/topics-protocol.md.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

/// The name of the subprotocol.
pub(crate) const PROTOCOL: &str = "towline.topics.v1";

/// The longest name of a topic, in bytes.
pub(crate) const MAX_NAME: usize = 512;

/// The longest `id`, in bytes of JSON.
const MAX_ID: usize = 64;

/// How much of a value an error shows, in characters.
const GLIMPSE: usize = 64;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Subscribe,
    Unsubscribe,
    Publish,
}

impl Verb {
    const ALL: [Self; 3] = [Self::Subscribe, Self::Unsubscribe, Self::Publish];

    fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Publish => "publish",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribed",
            Self::Unsubscribe => "unsubscribed",
            Self::Publish => "published",
        }
    }
}

/// A client's message.
#[derive(Debug)]
pub(crate) struct Order<'m> {
    pub(crate) verb: Verb,
    pub(crate) topic: String,
    /// JSON. Empty unless this publishes.
    pub(crate) data: &'m str,
    /// JSON.
    pub(crate) id: Option<&'m str>,
}

/// Why a message is no order.
#[derive(Debug)]
pub(crate) struct Wrong<'m> {
    pub(crate) why: String,
    pub(crate) id: Option<&'m str>,
}

impl<'m> Order<'m> {
    /// Reads a client's message.
    pub(crate) fn parse(text: &'m str) -> Result<Self, Wrong<'m>> {
        let without_id = |why| Wrong { why, id: None };
        if !text.trim_start().starts_with('{') {
            let shown = glimpse(text);
            let why = format!("{shown} is no JSON object, such as {{\"subscribe\":\"room/7\"}}");
            return Err(without_id(why));
        }
        let mut members: BTreeMap<String, &'m RawValue> = serde_json::from_str(text)
            .map_err(|error| without_id(format!("the message is not JSON: {error}")))?;
        let id = match members.remove("id").map(RawValue::get) {
            Some(id) => Some(checked_id(id).map_err(without_id)?),
            None => None,
        };
        Self::from_members(members, id).map_err(|why| Wrong { why, id })
    }

    fn from_members(
        mut members: BTreeMap<String, &'m RawValue>,
        id: Option<&'m str>,
    ) -> Result<Self, String> {
        let mut verbs = Verb::ALL.into_iter().filter(|verb| members.contains_key(verb.name()));
        let verb = verbs.next().ok_or(
            "the message has no member \"subscribe\", \"unsubscribe\" or \"publish\"".to_owned(),
        )?;
        if let Some(other) = verbs.next() {
            let (one, other) = (verb.name(), other.name());
            return Err(format!("the message has both \"{one}\" and \"{other}\"; send two"));
        }
        let name = members.remove(verb.name()).map_or("", RawValue::get);
        let topic: String = serde_json::from_str(name).map_err(|_| {
            format!("\"{}\" is {}; the name of a topic is a string", verb.name(), glimpse(name))
        })?;
        match topic.len() {
            0 => return Err("the name of the topic is empty".to_owned()),
            length if length > MAX_NAME => {
                let shown = glimpse(&topic);
                let limit = format!("has {length} bytes; the limit is {MAX_NAME}");
                return Err(format!("the name of the topic {shown} {limit}"));
            }
            _ => {}
        }
        let data = match verb {
            Verb::Publish => members.remove("data").map(RawValue::get).ok_or_else(|| {
                "the message has no member \"data\", which is what to publish".to_owned()
            })?,
            Verb::Subscribe | Verb::Unsubscribe => "",
        };
        match members.keys().next() {
            Some(unknown) => {
                let (unknown, verb) = (glimpse(unknown), verb.name());
                Err(format!("the member {unknown} is unknown in a message with \"{verb}\""))
            }
            None => Ok(Self { verb, topic, data, id }),
        }
    }

    /// The answer to an order that was carried out. `members` is how many are subscribed now.
    pub(crate) fn answer(&self, members: Option<usize>) -> String {
        let mut answer = Answer::begin(self.verb.done(), &quoted(&self.topic));
        if let Some(members) = members {
            answer.add("members", members);
        }
        answer.end(self.id)
    }

    /// The answer to an order that failed.
    pub(crate) fn refuse(&self, why: &str) -> String {
        Answer::begin("error", &quoted(why)).end(self.id)
    }
}

impl Wrong<'_> {
    pub(crate) fn answer(&self) -> String {
        Answer::begin("error", &quoted(&self.why)).end(self.id)
    }
}

/// What subscribers get: `data` is JSON, and stays as it is.
pub(crate) fn delivery(topic: &str, data: &str) -> String {
    let mut delivery = Answer::begin("topic", &quoted(topic));
    delivery.0.reserve(data.len() + 10);
    delivery.add("data", data);
    delivery.end(None)
}

/// Tells a subscriber how many messages of a topic it has missed.
pub(crate) fn skipped(topic: &str, messages: u64) -> String {
    let mut notice = Answer::begin("skipped", &messages);
    notice.add("topic", quoted(topic));
    notice.end(None)
}

/// The `id` of subscriptions that this program makes, so that it knows which error is about one.
const SUBSCRIPTION: &str = "\"subscription\"";

/// The message that subscribes to a topic.
pub(crate) fn subscribe(topic: &str) -> String {
    Answer::begin("subscribe", &quoted(topic)).end(Some(SUBSCRIPTION))
}

/// The message that publishes a text: as it is if it is JSON, otherwise as a string.
pub(crate) fn publish(topic: &str, text: &str) -> String {
    let mut order = Answer::begin("publish", &quoted(topic));
    match serde_json::from_str::<&RawValue>(text) {
        Ok(json) => order.add("data", json.get()),
        Err(_) => order.add("data", quoted(text)),
    }
    order.end(None)
}

/// A JSON object that is being written.
struct Answer(String);

impl Answer {
    fn begin(name: &str, json: &dyn fmt::Display) -> Self {
        Self(format!("{{\"{name}\":{json}"))
    }

    fn add(&mut self, name: &str, json: impl fmt::Display) {
        use fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(self.0, ",\"{name}\":{json}");
    }

    fn end(mut self, id: Option<&str>) -> String {
        if let Some(id) = id {
            self.add("id", id);
        }
        self.0.push('}');
        self.0
    }
}

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'m> {
    /// A message of a topic: its JSON, without line ends between its parts.
    Data {
        topic: String,
        json: String,
    },
    Subscribed {
        topic: String,
        members: u64,
    },
    Skipped {
        topic: String,
        messages: u64,
    },
    /// An error, perhaps the answer to a message of [`subscribe`].
    Refused {
        why: String,
        of_subscription: bool,
    },
    /// Something else, such as an answer to what the user typed.
    Other(&'m str),
}

impl<'m> Said<'m> {
    /// Reads a server's message.
    pub(crate) fn parse(text: &'m str) -> Self {
        Self::known(text).unwrap_or(Self::Other(text))
    }

    fn known(text: &'m str) -> Option<Self> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        let string = |name: &str| serde_json::from_str::<String>(members.get(name)?.get()).ok();
        let number = |name: &str| members.get(name)?.get().parse().ok();
        if let Some(why) = string("error") {
            let of_subscription = members.get("id").is_some_and(|id| id.get() == SUBSCRIPTION);
            return Some(Self::Refused { why, of_subscription });
        }
        if let Some(topic) = string("subscribed") {
            return Some(Self::Subscribed { topic, members: number("members")? });
        }
        let topic = string("topic")?;
        if let Some(messages) = number("skipped") {
            return Some(Self::Skipped { topic, messages });
        }
        // In JSON, these are only between the parts.
        let json = members.get("data")?.get().replace(['\n', '\r', '\t'], " ");
        Some(Self::Data { topic, json })
    }
}

/// For people: the text of a string, if it is one line, and otherwise JSON.
pub(crate) fn readable(json: &str) -> String {
    match serde_json::from_str::<String>(json) {
        Ok(text) if !text.contains(char::is_control) => text,
        _ => json.to_owned(),
    }
}

fn checked_id(id: &str) -> Result<&str, String> {
    if !id.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()) {
        return Err(format!("\"id\" is {}; write a string or a number", glimpse(id)));
    }
    match id.len() <= MAX_ID {
        true => Ok(id),
        false => {
            Err(format!("\"id\", {}, has {} bytes; the limit is {MAX_ID}", glimpse(id), id.len()))
        }
    }
}

/// The JSON of a string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The beginning of a text, for an error.
fn glimpse(text: &str) -> String {
    match text.char_indices().nth(GLIMPSE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_answered() {
        let order = Order::parse(r#" {"subscribe":"room\/7", "id": 1}"#).unwrap();
        assert_eq!((order.verb, &*order.topic), (Verb::Subscribe, "room/7"));
        assert_eq!(order.answer(Some(3)), r#"{"subscribed":"room/7","members":3,"id":1}"#);
        assert_eq!(order.refuse("no \"a\""), r#"{"error":"no \"a\"","id":1}"#);
        let order = Order::parse(r#"{"unsubscribe":"a"}"#).unwrap();
        assert_eq!(order.answer(Some(0)), r#"{"unsubscribed":"a","members":0}"#);
    }

    #[test]
    fn data_is_passed_on_as_it_is() {
        let data = r#"{ "b": 1.0e2, "a": 123456789012345678901234567890, "é": "\u00e9" }"#;
        let text = format!(r#"{{"id":"x","publish":"a","data":{data}}}"#);
        let order = Order::parse(&text).unwrap();
        assert_eq!(order.answer(None), r#"{"published":"a","id":"x"}"#);
        assert_eq!(order.data, data);
        assert_eq!(delivery("a", order.data), format!(r#"{{"topic":"a","data":{data}}}"#));
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        let long = format!(r#"{{"subscribe":"{}"}}"#, "x".repeat(513));
        let id = format!(r#"{{"subscribe":"a","id":"{}"}}"#, "x".repeat(63));
        for (text, words) in [
            ("", "no JSON object"),
            ("[1]", "[1] is no JSON object"),
            ("{\"subscribe\"", "not JSON: EOF"),
            ("{\"subscribe\":\"a\"} x", "not JSON: trailing characters"),
            ("{}", "no member \"subscribe\", \"unsubscribe\" or \"publish\""),
            (r#"{"subscribe":7}"#, "\"subscribe\" is 7; the name of a topic is a string"),
            (r#"{"subscribe":""}"#, "the name of the topic is empty"),
            (r#"{"subscribe":"a","publish":"a"}"#, "both \"subscribe\" and \"publish\""),
            (r#"{"publish":"a"}"#, "no member \"data\""),
            (r#"{"subscribe":"a","date":1}"#, "the member date is unknown"),
            (r#"{"subscribe":"a","data":1}"#, "the member data is unknown"),
            (r#"{"subscribe":"a","id":{}}"#, "\"id\" is {}; write a string or a number"),
            (&long, "xxx… has 513 bytes; the limit is 512"),
            (&id, "has 65 bytes; the limit is 64"),
        ] {
            let wrong = Order::parse(text).unwrap_err();
            assert!(wrong.why.contains(words), "{text}: {}", wrong.why);
        }
        let wrong = Order::parse(r#"{"subscribe":7,"id":-1}"#).unwrap_err();
        assert!(wrong.answer().ends_with(r#"string","id":-1}"#), "{}", wrong.answer());
    }

    #[test]
    fn deep_nesting_is_no_matter() {
        let data = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"publish":"a","data":{data}}}"#);
        assert_eq!(Order::parse(&text).unwrap().data, data);
    }

    #[test]
    fn what_the_server_says_is_read() {
        let topic = || "a".to_owned();
        for (text, said) in [
            (
                delivery("a", "{\n\"b\": 1}"),
                Said::Data { topic: topic(), json: "{ \"b\": 1}".into() },
            ),
            (skipped("a", 12), Said::Skipped { topic: topic(), messages: 12 }),
            (
                Order::parse(&subscribe("a")).unwrap().answer(Some(2)),
                Said::Subscribed { topic: topic(), members: 2 },
            ),
            (Order::parse("{}").unwrap_err().answer(), {
                let why = "the message has no member \"subscribe\", \"unsubscribe\" or \"publish\"";
                Said::Refused { why: why.into(), of_subscription: false }
            }),
            (Order::parse(&subscribe("a")).unwrap().refuse("no"), {
                Said::Refused { why: "no".into(), of_subscription: true }
            }),
        ] {
            assert_eq!(Said::parse(&text), said);
        }
        assert_eq!(Said::parse("ahoy"), Said::Other("ahoy"));
    }

    #[test]
    fn a_line_is_json_or_a_string() {
        assert_eq!(publish("a", "[1, 2]"), r#"{"publish":"a","data":[1, 2]}"#);
        assert_eq!(publish("a", "ship \"ahoy\""), r#"{"publish":"a","data":"ship \"ahoy\""}"#);
        assert_eq!(publish("a", ""), r#"{"publish":"a","data":""}"#);
        assert_eq!(readable(r#""ship ahoy""#), "ship ahoy");
        assert_eq!(readable(r#""two\nlines""#), r#""two\nlines""#);
        assert_eq!(readable("[1]"), "[1]");
    }
}
