//! The messages received last, for `/show` and `/save`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use towline::Message;

/// The most messages to keep.
const MOST: usize = 256;

/// The most bytes to keep. The last message is kept in any case.
const MOST_BYTES: usize = 32 << 20;

/// The messages received last, and their numbers.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Messages>);

#[derive(Debug, Default)]
struct Messages {
    last: VecDeque<Message>,
    bytes: usize,
    /// How many messages were received.
    count: u64,
}

impl Kept {
    /// Keeps a message. Returns its number; the first message is number 1.
    pub(crate) fn keep(&self, message: &Message) -> u64 {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Messages { last, bytes, count } = &mut *messages;
        last.push_back(message.clone());
        *bytes += message.as_bytes().len();
        *count += 1;
        while last.len() > MOST || (*bytes > MOST_BYTES && last.len() > 1) {
            *bytes -= last.pop_front().map_or(0, |message| message.as_bytes().len());
        }
        *count
    }

    /// The message with this number, or the last one, and its number.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub(crate) fn get(&self, number: Option<u64>) -> Result<(u64, Message), String> {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = messages.count;
        let number = number.unwrap_or(count);
        if count == 0 {
            return Err("no message was received".to_owned());
        }
        let back = count.checked_sub(number).and_then(|back| usize::try_from(back).ok());
        let message = back
            .and_then(|back| messages.last.len().checked_sub(back + 1))
            .and_then(|index| messages.last.get(index));
        let first = count + 1 - messages.last.len() as u64;
        message.map(|message| (number, message.clone())).ok_or_else(|| {
            format!("message {number} is not kept: the messages are {first} to {count}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_numbered_and_the_oldest_go() {
        let kept = Kept::default();
        assert!(kept.get(None).is_err());
        for number in 1..=MOST as u64 + 2 {
            assert_eq!(kept.keep(&number.to_string().into()), number);
        }
        assert_eq!(kept.get(None).unwrap(), (258, "258".into()));
        assert_eq!(kept.get(Some(3)).unwrap(), (3, "3".into()));
        for number in [0, 2, 259, u64::MAX] {
            assert!(kept.get(Some(number)).unwrap_err().contains("3 to 258"), "{number}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_kept_alone() {
        let kept = Kept::default();
        kept.keep(&"small".into());
        kept.keep(&Message::binary(vec![0; MOST_BYTES + 1]));
        assert!(kept.get(Some(1)).is_err());
        assert!(kept.get(Some(2)).is_ok());
    }
}
