//! The table of events: words that JavaScript owns, written here and read there.
//!
//! The first words are about the whole; then come the events, three words each. `lib/native.js`
//! has the same numbers.

/// Where in the chunk to go on.
const NEXT: usize = 0;
/// Whether there is more to come, for which the table had no room.
const IS_FULL: usize = 1;
/// Whether there is something to be written, which the program has not sent: an answer to a ping.
const HAS_OUTPUT: usize = 2;
/// Whether the timer is to be set anew: a deadline has come nearer.
const IS_SOONER: usize = 3;
/// Where the events begin.
const EVENTS: usize = 4;
/// How many words an event has.
const EVENT_LEN: usize = 3;

/// What an event is. The two words beside it are said with each.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A text message in the chunk that is all ASCII: offset, length.
    Ascii = 1,
    /// A text message in the chunk: offset, length.
    Text = 2,
    /// A binary message in the chunk: offset, length.
    Binary = 3,
    /// A text message that is to be taken: nothing.
    OwnedText = 4,
    /// A binary message that is to be taken: nothing.
    OwnedBinary = 5,
    /// A frame whose payload is to be taken: its first byte on the wire, whether it was masked.
    Frame = 6,
    /// A ping whose payload is to be taken: whether it is to be answered yet.
    Ping = 7,
    /// A pong whose payload is to be taken: nothing.
    Pong = 8,
    /// A close frame whose reason is to be taken: its code.
    Close = 9,
    /// The peer did wrong, and the description is to be taken: the close code.
    Fault = 10,
}

/// What is said of the whole beside where to go on.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) is_full: bool,
    pub(crate) has_output: bool,
    pub(crate) is_sooner: bool,
}

/// Writes a table.
pub(crate) struct Writer<'t> {
    words: &'t mut [u32],
    count: usize,
}

impl<'t> Writer<'t> {
    pub(crate) fn new(words: &'t mut [u32]) -> Self {
        Self { words, count: 0 }
    }

    pub(crate) fn has_room(&self) -> bool {
        EVENTS + (self.count + 1) * EVENT_LEN <= self.words.len()
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Only while there is [room](Self::has_room).
    pub(crate) fn push(&mut self, kind: Kind, first: usize, second: usize) {
        let at = EVENTS + self.count * EVENT_LEN;
        if let Some([word, one, two]) = self.words.get_mut(at..at + EVENT_LEN) {
            // Offsets and lengths are within a chunk.
            *word = kind as u32;
            *one = u32::try_from(first).unwrap_or(u32::MAX);
            *two = u32::try_from(second).unwrap_or(u32::MAX);
            self.count += 1;
        }
    }

    /// Ends the table, and says how many events are in it.
    pub(crate) fn finish(self, next: usize, state: State) -> u32 {
        if let Some(header) = self.words.first_chunk_mut::<EVENTS>() {
            header[NEXT] = u32::try_from(next).unwrap_or(u32::MAX);
            header[IS_FULL] = state.is_full.into();
            header[HAS_OUTPUT] = state.has_output.into();
            header[IS_SOONER] = state.is_sooner.into();
        }
        u32::try_from(self.count).unwrap_or(u32::MAX)
    }
}
