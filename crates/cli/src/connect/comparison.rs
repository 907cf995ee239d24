//! `--compare`: holds what the server says against a recording.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use towline::Message;

use crate::connect::canonical::canonical;

/// What the server is expected to say, and how much of it was different.
#[derive(Debug)]
pub(crate) struct Comparison(Mutex<State>);

#[derive(Debug)]
struct State {
    expected: VecDeque<Message>,
    received: u64,
    different: u64,
}

/// A message that differs from the recording.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The number of the message; the first is number 1.
    pub(crate) number: u64,
    /// The message in the recording, if it has so many.
    pub(crate) expected: Option<Message>,
}

impl Comparison {
    /// The server is expected to send these messages.
    pub(crate) fn with(expected: Vec<Message>) -> Self {
        Self(Mutex::new(State { expected: expected.into(), received: 0, different: 0 }))
    }

    /// Compares the next message.
    pub(crate) fn check(&self, message: &Message) -> Option<Difference> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.received += 1;
        let expected = state.expected.pop_front();
        if expected.as_ref().is_some_and(|expected| is_same(expected, message)) {
            return None;
        }
        state.different += 1;
        Some(Difference { number: state.received, expected })
    }

    /// The result: a sentence.
    ///
    /// # Errors
    ///
    /// Another sentence, if not all messages are those of the recording.
    pub(crate) fn result(&self) -> Result<String, String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { expected, received, different } = &*state;
        let missing = expected.len() as u64;
        let total = received + missing;
        match (different, missing) {
            (0, 0) => Ok(format!("the server's messages are those of the recording: {total}")),
            (different, 0) => Err(format!("{different} of {total} messages differ (--compare)")),
            (0, missing) => Err(format!("{missing} of {total} messages are missing (--compare)")),
            (different, missing) => Err(format!(
                "{different} of {total} messages differ, and {missing} are missing (--compare)"
            )),
        }
    }
}

/// Whether the messages are the same. JSON may be written in different ways.
fn is_same(one: &Message, other: &Message) -> bool {
    if one == other {
        return true;
    }
    let json = |message: &Message| message.as_text().and_then(canonical);
    json(one).is_some_and(|one| json(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_compared_in_order_and_json_by_its_value() {
        let expected = ["a", r#"{"a":1,"b":[2]}"#, "c"].map(Message::from).to_vec();
        let comparison = Comparison::with(expected);
        assert_eq!(comparison.check(&"a".into()), None);
        assert_eq!(comparison.check(&r#"{ "b": [2], "a": 1 }"#.into()), None);
        assert!(comparison.result().unwrap_err().starts_with("1 of 3 messages are missing"));
        let different = Difference { number: 3, expected: Some("c".into()) };
        assert_eq!(comparison.check(&Message::binary("c")), Some(different));
        assert!(comparison.result().unwrap_err().starts_with("1 of 3 messages differ ("));
        let surplus = Difference { number: 4, expected: None };
        assert_eq!(comparison.check(&"d".into()), Some(surplus));
        assert!(comparison.result().unwrap_err().starts_with("2 of 4 messages differ ("));
    }

    #[test]
    fn long_numbers_are_not_rounded() {
        let expected = "[123456789012345678901234567890]";
        let comparison = Comparison::with(vec![expected.into(), expected.into()]);
        assert_eq!(comparison.check(&"[ 123456789012345678901234567890 ]".into()), None);
        assert!(comparison.check(&"[123456789012345678901234567891]".into()).is_some());
    }

    #[test]
    fn what_is_the_same_is_said_to_be() {
        let comparison = Comparison::with(vec!["a".into()]);
        assert_eq!(comparison.check(&"a".into()), None);
        assert!(comparison.result().is_ok());
    }
}
