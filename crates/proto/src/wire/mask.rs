//! Masking: exclusive or with a key of four bytes ([RFC 6455, section 5.3]).
//!
//! [RFC 6455, section 5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.3

use std::cell::RefCell;

/// Masks or unmasks `payload` in place; both are the same operation.
///
/// `offset` is the number of bytes of the frame's payload before these.
///
/// ```
/// use towline_proto::wire::mask;
///
/// // The example of RFC 6455, section 5.7.
/// let mut payload = *b"Hello";
/// mask::apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn apply(key: [u8; 4], offset: u64, payload: &mut [u8]) {
    /// Above this length, the cost of a call is negligible.
    const SHORT: usize = 64;
    let key = rotated(key, offset);
    if payload.len() > SHORT {
        return apply_wide(key, payload);
    }
    apply_words(key, payload);
}

/// 32 bytes at a time, as four words, which the compiler turns into the widest vector instructions
/// of the target.
fn apply_wide(key: [u8; 4], payload: &mut [u8]) {
    let word = repeated(key);
    let mut blocks = payload.chunks_exact_mut(32);
    for block in &mut blocks {
        for part in block.chunks_exact_mut(8) {
            xor_word(part, word);
        }
    }
    apply_words(key, blocks.into_remainder());
}

#[inline]
fn apply_words(key: [u8; 4], payload: &mut [u8]) {
    let word = repeated(key);
    let mut words = payload.chunks_exact_mut(8);
    for part in &mut words {
        xor_word(part, word);
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[inline]
fn repeated(key: [u8; 4]) -> u64 {
    u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001
}

/// Appends `payload`, masked, to `out`.
///
/// ```
/// use towline_proto::wire::mask;
///
/// let mut frame = Vec::new();
/// mask::extend([0x37, 0xfa, 0x21, 0x3d], b"Hello", &mut frame);
/// assert_eq!(frame, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[inline]
pub fn extend(key: [u8; 4], payload: &[u8], out: &mut Vec<u8>) {
    /// Small enough to be still in the L1 cache when it is masked.
    const HOT: usize = 4 << 10;
    out.reserve(payload.len());
    for piece in payload.chunks(HOT) {
        let start = out.len();
        out.extend_from_slice(piece);
        apply(key, 0, &mut out[start..]);
    }
}

#[inline]
fn xor_word(part: &mut [u8], word: u64) {
    if let Some(bytes) = part.first_chunk_mut::<8>() {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
}

/// Returns the key rotated for a payload that begins at `offset`.
fn rotated(mut key: [u8; 4], offset: u64) -> [u8; 4] {
    key.rotate_left((offset % 4) as usize);
    key
}

/// The number of keys drawn from the system at once: a system call per frame would cost more than
/// the frame.
const KEYS_PER_DRAW: usize = 64;

thread_local! {
    static KEYS: RefCell<Keys> = const { RefCell::new(Keys { bytes: [0; KEYS_PER_DRAW * 4], left: 0 }) };
}

struct Keys {
    bytes: [u8; KEYS_PER_DRAW * 4],
    left: usize,
}

/// Returns an unpredictable masking key.
///
/// "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a
/// strong source of entropy" (RFC 6455, section 5.3): it comes from the operating system's
/// generator.
///
/// [`apply`] has an example.
///
/// # Panics
///
/// Panics if the operating system provides no random numbers, because sending would be unsafe.
pub fn random_key() -> [u8; 4] {
    KEYS.with_borrow_mut(|keys| {
        if keys.left == 0 {
            getrandom::fill(&mut keys.bytes).expect("the operating system gives random bytes");
            keys.left = KEYS_PER_DRAW;
        }
        keys.left -= 1;
        let at = keys.left * 4;
        // A key is used once and must not stay in memory.
        std::mem::take(keys.bytes[at..].first_chunk_mut::<4>().expect("four bytes per key"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(key: [u8; 4], offset: u64, payload: &mut [u8]) {
        for (byte, at) in payload.iter_mut().zip(offset..) {
            *byte ^= key[(at % 4) as usize];
        }
    }

    proptest! {
        #[test]
        fn masking_is_what_the_rfc_says(
            key: [u8; 4],
            offset in 0u64..100,
            start in 0usize..40,
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let start = start.min(payload.len());
            let (mut fast, mut slow) = (payload.clone(), payload);
            apply(key, offset, &mut fast[start..]);
            naive(key, offset, &mut slow[start..]);
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn keys_do_not_repeat() {
        let mut keys: Vec<_> = (0..1000).map(|_| random_key()).collect();
        keys.sort_unstable();
        keys.dedup();
        // Four billion keys: a repetition among a thousand has a chance of one in eight thousand.
        assert!(keys.len() >= 998, "{} different keys of 1000", keys.len());
    }
}
