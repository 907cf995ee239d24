//! What takes memory, of which a thread has a few and a connection none.

use std::cell::RefCell;
use std::fmt;

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use crate::compression::NotInflatable;
use crate::deflate::window::{MAX_BITS, Window};

/// How many deflaters, and how many inflaters, a thread keeps while nobody uses them. More are in
/// use at once only where messages come or go in pieces, and are given back when those end.
const KEPT: usize = 4;

/// How much is inflated at a time.
pub(super) const CHUNK: usize = 32 << 10;

/// How many symbols a block has: 2^(6 + this). It takes 7 bytes for each, and blocks of more than
/// 4,096 symbols do not make JSON any shorter.
const MEM_LEVEL: i32 = 6;

/// So many streams may end within a message, and [one more](INFLATED_PER_END) for what inflates.
/// Each takes two bytes of the peer's, and a window to be told to the engine.
const FREE_ENDS: u64 = 4;

/// For so many bytes inflated, another stream may end within a message.
const INFLATED_PER_END: u64 = 1 << 10;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool {
        deflaters: Vec::new(),
        inflaters: Vec::new(),
        scratch: Vec::new(),
    }) };
}

#[expect(clippy::vec_box, reason = "connections hold them in a box, which goes to and fro")]
struct Pool {
    deflaters: Vec<Box<DeflateEngine>>,
    inflaters: Vec<Box<InflateEngine>>,
    scratch: Vec<u8>,
}

/// What a deflater is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Make {
    pub(super) level: u8,
    pub(super) window_bits: u8,
}

/// A deflater of the engine.
pub(super) struct DeflateEngine {
    make: Make,
    engine: zlib_rs::Deflate,
}

impl DeflateEngine {
    /// One that refers to nothing yet.
    pub(super) fn new(make: Make) -> Box<Self> {
        let config = DeflateConfig {
            level: i32::from(make.level),
            // Negative for deflate as it is, without a head and a checksum.
            window_bits: -i32::from(make.window_bits),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        Box::new(Self { make, engine: zlib_rs::Deflate::new_with_config(config) })
    }

    /// One of the thread's, which may refer to what is in the window.
    pub(super) fn take(make: Make, window: &Window) -> Box<Self> {
        let kept = with_pool(|pool| {
            let at = pool.deflaters.iter().position(|kept| kept.make == make)?;
            Some(pool.deflaters.swap_remove(at))
        });
        let mut this = match kept.flatten() {
            Some(mut this) => {
                this.engine.reset();
                this
            }
            None => Self::new(make),
        };
        if !window.as_slice().is_empty() && this.engine.set_dictionary(window.as_slice()).is_err() {
            // It refers to nothing then, which is as good for the peer.
            return Self::new(make);
        }
        this
    }

    /// Gives it back to the thread.
    pub(super) fn give(self: Box<Self>) {
        with_pool(|pool| {
            if pool.deflaters.len() >= KEPT {
                pool.deflaters.remove(0);
            }
            pool.deflaters.push(self);
        });
    }

    /// Forgets all it could refer to.
    pub(super) fn reset(&mut self) {
        self.engine.reset();
    }

    /// Appends to `out` what `input` becomes. With `flush`, all of it, up to a byte's end: the last
    /// four bytes are 00 00 ff ff then.
    ///
    /// It never ends early, however long `out` becomes: an engine that is reset while it has
    /// something to hand out takes the place of that for occupied, and panics later (zlib-rs 0.6).
    pub(super) fn deflate(&mut self, mut input: &[u8], flush: bool, out: &mut Vec<u8>) {
        let flush = if flush { DeflateFlush::SyncFlush } else { DeflateFlush::NoFlush };
        let mut room = input.len() / 2 + 64;
        loop {
            let start = out.len();
            out.resize(start + room, 0);
            let before = (self.engine.total_in(), self.engine.total_out());
            // It fails for settings that are none, and for no input.
            let status = self.engine.compress(input, &mut out[start..], flush);
            let read = count(self.engine.total_in() - before.0);
            let made = count(self.engine.total_out() - before.1);
            out.truncate(start + made);
            if made < room || status.is_err() {
                return;
            }
            input = &input[read..];
            room = room.max(input.len() + 64);
        }
    }
}

impl fmt::Debug for DeflateEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeflateEngine").field("make", &self.make).finish_non_exhaustive()
    }
}

/// An inflater of the engine, and what can be referred to.
pub(super) struct InflateEngine {
    // Always of the widest window: the engine takes the memory for that in any case, and resets to
    // it. What was deflated with a narrower one inflates the same.
    engine: zlib_rs::Inflate,
    pub(super) window: Window,
    /// Whether the last of it was the end of a deflate stream.
    is_at_end: bool,
    /// How many streams have ended within the message, and what it has inflated to.
    ends: u64,
    inflated: u64,
}

impl InflateEngine {
    /// One of the thread's, with the window of a connection that keeps one from one message to the
    /// next; else with the engine's own, which is as empty.
    pub(super) fn take(window: Option<Window>) -> Box<Self> {
        let kept = with_pool(|pool| pool.inflaters.pop()).flatten();
        let mut this = kept.unwrap_or_else(|| {
            let engine = zlib_rs::Inflate::new(false, MAX_BITS);
            let (window, is_at_end, ends, inflated) = (Window::default(), false, 0, 0);
            Box::new(Self { engine, window, is_at_end, ends, inflated })
        });
        if let Some(window) = window {
            // An empty one too: the engine's own has room for the widest, and would stay with the
            // connection.
            this.window = window;
        }
        (this.ends, this.inflated) = (0, 0);
        this.restart();
        this
    }

    /// Gives it back to the thread.
    pub(super) fn give(mut self: Box<Self>) {
        self.window.clear();
        with_pool(|pool| {
            if pool.inflaters.len() < KEPT {
                pool.inflaters.push(self);
            }
        });
    }

    /// Begins another deflate stream, which may refer to the window.
    fn restart(&mut self) {
        self.is_at_end = false;
        self.engine.reset(false);
        if !self.window.as_slice().is_empty() {
            // Without a head there is nothing that it could contradict.
            let _ = self.engine.set_dictionary(self.window.as_slice());
        }
    }

    /// Whether the last byte inflated was the last of a deflate stream.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Inflates all of `input`, by way of `chunk`, until the sink has had enough.
    pub(super) fn inflate(
        &mut self,
        mut input: &[u8],
        window_bits: u8,
        chunk: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), NotInflatable> {
        loop {
            if self.is_at_end && !input.is_empty() {
                // "If a DEFLATE block with the "BFINAL" bit set to 1 is received", what follows is
                // another stream, with the same window (RFC 7692, section 7.2.3.4).
                self.ends += 1;
                if self.ends > FREE_ENDS + self.inflated / INFLATED_PER_END {
                    return Err(NotInflatable);
                }
                self.restart();
            }
            let before = (self.engine.total_in(), self.engine.total_out());
            let result = self.engine.decompress(input, chunk, InflateFlush::SyncFlush);
            let read = count(self.engine.total_in() - before.0);
            let made = count(self.engine.total_out() - before.1);
            input = &input[read..];
            self.inflated += made as u64;
            if made > 0 {
                let inflated = &chunk[..made];
                self.window.push(inflated, window_bits);
                if !sink(inflated) {
                    return Ok(());
                }
            }
            self.is_at_end = result.map_err(|_| NotInflatable)? == Status::StreamEnd;
            let is_stuck = read == 0 && made == 0;
            if (input.is_empty() && made < chunk.len()) || is_stuck {
                return Ok(());
            }
        }
    }
}

impl fmt::Debug for InflateEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InflateEngine").finish_non_exhaustive()
    }
}

/// Lends the thread's buffer, of what length and content whatsoever.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = with_pool(|pool| std::mem::take(&mut pool.scratch)).unwrap_or_default();
    let result = work(&mut scratch);
    // What one message made of it is not kept for all.
    if scratch.capacity() <= 2 * CHUNK {
        with_pool(|pool| pool.scratch = scratch);
    }
    result
}

/// Nothing, where the thread is about to end.
fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.try_with(|pool| work(&mut pool.borrow_mut())).ok()
}

/// What the engine counts in one call, which is at most what it was given.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
