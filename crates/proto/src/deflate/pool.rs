//! The pool of deflaters, inflaters and buffers of a thread.

use std::cell::RefCell;
use std::fmt;

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use crate::compression::NotInflatable;
use crate::deflate::window::{MAX_BITS, Window};

/// The most unused deflaters, and inflaters, that a thread keeps. More are in use only while
/// several messages arrive or are sent in pieces.
const KEPT: usize = 4;

/// The size of the chunks of inflated data.
pub(super) const CHUNK: usize = 32 << 10;

/// The number of symbols in a block: 2^(6 + this). Each takes 7 bytes, and blocks of more than
/// 4,096 symbols do not shrink JSON further.
const MEM_LEVEL: i32 = 6;

/// The number of streams that may end within a message, plus [one more](INFLATED_PER_END) per
/// inflated data. Each costs the peer two bytes, and this end the loading of a window.
const FREE_ENDS: u64 = 4;

/// The inflated bytes for which one more stream may end within a message.
const INFLATED_PER_END: u64 = 1 << 10;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool {
        deflaters: Vec::new(),
        inflaters: Vec::new(),
        scratch: Vec::new(),
        chunk: Vec::new(),
    }) };
}

#[expect(clippy::vec_box, reason = "connections hold them in a box, which goes to and fro")]
struct Pool {
    deflaters: Vec<Box<DeflateEngine>>,
    inflaters: Vec<Box<InflateEngine>>,
    /// What is deflated.
    scratch: Vec<u8>,
    /// What is inflated. It keeps its length, so it is zeroed only once.
    chunk: Vec<u8>,
}

/// The parameters of a deflater.
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
    /// Creates a deflater with an empty window.
    pub(super) fn new(make: Make) -> Box<Self> {
        let config = DeflateConfig {
            level: i32::from(make.level),
            // Negative for raw deflate, without header and checksum.
            window_bits: -i32::from(make.window_bits),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        Box::new(Self { make, engine: zlib_rs::Deflate::new_with_config(config) })
    }

    /// Takes a deflater of the thread, loaded with the window.
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
            // On failure the window is empty, which is also valid for the peer.
            return Self::new(make);
        }
        this
    }

    /// Returns it to the thread.
    pub(super) fn give(self: Box<Self>) {
        with_pool(|pool| {
            if pool.deflaters.len() >= KEPT {
                pool.deflaters.remove(0);
            }
            pool.deflaters.push(self);
        });
    }

    /// Clears the window.
    pub(super) fn reset(&mut self) {
        self.engine.reset();
    }

    /// Deflates `input` into `out`. With `flush`, writes everything up to a byte boundary: the
    /// output then ends with 00 00 ff ff.
    ///
    /// Never stops early, however long `out` becomes: an engine that is reset with pending output
    /// counts its space as occupied, and panics later (zlib-rs 0.6).
    pub(super) fn deflate(&mut self, mut input: &[u8], flush: bool, out: &mut Vec<u8>) {
        let flush = if flush { DeflateFlush::SyncFlush } else { DeflateFlush::NoFlush };
        let mut room = input.len() / 2 + 64;
        loop {
            let start = out.len();
            out.resize(start + room, 0);
            let before = (self.engine.total_in(), self.engine.total_out());
            // It fails only for invalid settings and without input.
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

/// An inflater of the engine, with its window.
pub(super) struct InflateEngine {
    // Always with the widest window: the engine allocates that anyway, and resets to it. Data
    // deflated with a narrower one inflates the same.
    engine: zlib_rs::Inflate,
    pub(super) window: Window,
    /// Whether the last byte ended a deflate stream.
    is_at_end: bool,
    /// How many streams have ended within the message, and its inflated length.
    ends: u64,
    inflated: u64,
}

impl InflateEngine {
    /// Takes an inflater of the thread, with the window of a connection that uses context takeover,
    /// otherwise with its own, empty window.
    pub(super) fn take(window: Option<Window>) -> Box<Self> {
        let kept = with_pool(|pool| pool.inflaters.pop()).flatten();
        let mut this = kept.unwrap_or_else(|| {
            let engine = zlib_rs::Inflate::new(false, MAX_BITS);
            let (window, is_at_end, ends, inflated) = (Window::default(), false, 0, 0);
            Box::new(Self { engine, window, is_at_end, ends, inflated })
        });
        if let Some(window) = window {
            // Even if it is empty: the engine's own has the widest capacity, and would stay with
            // the connection.
            this.window = window;
        }
        (this.ends, this.inflated) = (0, 0);
        this.restart();
        this
    }

    /// Returns it to the thread.
    pub(super) fn give(mut self: Box<Self>) {
        self.window.clear();
        with_pool(|pool| {
            if pool.inflaters.len() < KEPT {
                pool.inflaters.push(self);
            }
        });
    }

    /// Starts another deflate stream, which may refer to the window.
    fn restart(&mut self) {
        self.is_at_end = false;
        self.engine.reset(false);
        if !self.window.as_slice().is_empty() {
            // Cannot fail: a raw stream has no header.
            let _ = self.engine.set_dictionary(self.window.as_slice());
        }
    }

    /// Returns whether the last byte ended a deflate stream.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Inflates all of `input` through `chunk`, until the sink stops it.
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

/// Lends the thread's chunk, with any content.
pub(super) fn with_chunk<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut chunk = with_pool(|pool| std::mem::take(&mut pool.chunk)).unwrap_or_default();
    chunk.resize(CHUNK, 0);
    let result = work(&mut chunk);
    with_pool(|pool| pool.chunk = chunk);
    result
}

/// Lends the thread's buffer, with any length and content.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = with_pool(|pool| std::mem::take(&mut pool.scratch)).unwrap_or_default();
    let result = work(&mut scratch);
    // Do not keep the capacity that one large message needed.
    if scratch.capacity() <= 2 * CHUNK {
        with_pool(|pool| pool.scratch = scratch);
    }
    result
}

/// Returns `None` if the thread is ending.
fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.try_with(|pool| work(&mut pool.borrow_mut())).ok()
}

/// Converts a count of the engine for one call, which is at most the input's length.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
