//! The sending half.

use bytes::Bytes;

use crate::compression::{Deflated, Deflating};
use crate::deflate::pool::{DeflateEngine, Make, with_scratch};
use crate::deflate::window::Window;

/// A long message is deflated in pieces of this size. The first piece decides whether the message
/// is worth compressing.
const PIECE: usize = 64 << 10;

/// The most input for one fragment, after the first piece. A message that shrinks a lot gets
/// shorter fragments; otherwise a message that shrinks a thousand times would take a thousand times
/// as long per fragment.
const FRAGMENT_INPUT: usize = 4 * PIECE;

/// The end of a flushed stream, to be removed: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from
/// the tail end" (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Up to this width, the window is loaded into a deflater of the thread for each message, in a few
/// microseconds. Above it, that would cost more than the message, so the connection keeps a
/// deflater.
const TOLD_BITS: u8 = 12;

/// The most bytes by which a message may grow if later ones may refer to it.
const WORTH_KNOWING: usize = 8;

/// Deflates the messages of one direction.
#[derive(Debug)]
pub(super) struct Deflater {
    make: Make,
    threshold: u32,
    context: Option<Box<Context>>,
    /// The long message in progress.
    open: Option<Box<Open>>,
}

/// The data that the next message may refer to.
#[derive(Debug)]
enum Context {
    Told(Window),
    Kept(Option<Box<DeflateEngine>>),
}

#[derive(Debug)]
struct Open {
    engine: Box<DeflateEngine>,
    /// Output that has not been passed on.
    deflated: Vec<u8>,
}

impl Deflater {
    pub(super) fn new(make: Make, threshold: u32, takeover: bool) -> Self {
        let context = if make.window_bits <= TOLD_BITS {
            Context::Told(Window::default())
        } else {
            Context::Kept(None)
        };
        let context = takeover.then(|| Box::new(context));
        Self { make, threshold, context, open: None }
    }

    fn begin(&mut self) -> Box<DeflateEngine> {
        match self.context.as_deref_mut() {
            None => DeflateEngine::take(self.make, &Window::default()),
            Some(Context::Told(window)) => DeflateEngine::take(self.make, window),
            Some(Context::Kept(kept)) => {
                kept.take().unwrap_or_else(|| DeflateEngine::new(self.make))
            }
        }
    }

    /// Records a message, or a piece of it, that is sent deflated.
    fn note(&mut self, piece: &[u8]) {
        if let Some(Context::Told(window)) = self.context.as_deref_mut() {
            window.push(piece, self.make.window_bits);
        }
    }

    /// Records that all of the message has been sent.
    fn end(&mut self, engine: Box<DeflateEngine>) {
        match self.context.as_deref_mut() {
            None | Some(Context::Told(_)) => engine.give(),
            Some(Context::Kept(kept)) => *kept = Some(engine),
        }
    }

    /// Records that the message is sent uncompressed, so the peer does not have the deflated data
    /// in its window.
    fn abandon(&mut self, mut engine: Box<DeflateEngine>) {
        match self.context.as_deref_mut() {
            Some(Context::Kept(kept)) => {
                engine.reset();
                *kept = Some(engine);
            }
            _ => engine.give(),
        }
    }

    /// Deflates the first piece of a long message and flushes, so that the whole output is visible.
    /// Returns whether it shrinks.
    fn begins_well(engine: &mut DeflateEngine, piece: &[u8], deflated: &mut Vec<u8>) -> bool {
        engine.deflate(piece, true, deflated);
        deflated.len() < piece.len() + TAIL.len()
    }

    /// Returns the longest output for a message of this length that is still sent.
    fn most(&self, len: usize) -> usize {
        match self.context.as_deref() {
            None => len.saturating_sub(1),
            // The first of many similar messages hardly shrinks, but the others refer to it.
            Some(Context::Told(_)) if len <= (1 << self.make.window_bits) / 4 => {
                len + WORTH_KNOWING
            }
            Some(Context::Told(_)) => len.saturating_sub(1),
            // It cannot be removed from the engine, and the earlier data is worth more than a few
            // bytes.
            Some(Context::Kept(_)) => usize::MAX,
        }
    }
}

impl Deflating for Deflater {
    fn wants(&self, len: usize) -> bool {
        len >= self.threshold as usize
    }

    fn whole(&mut self, message: &[u8], sink: &mut dyn FnMut(&[u8])) -> bool {
        let mut engine = self.begin();
        let most = self.most(message.len());
        with_scratch(|deflated| {
            deflated.clear();
            let mut rest = message;
            if let Some((piece, after)) = message.split_at_checked(PIECE)
                && !after.is_empty()
            {
                if !Self::begins_well(&mut engine, piece, deflated) {
                    self.abandon(engine);
                    return false;
                }
                rest = after;
            }
            engine.deflate(rest, true, deflated);
            match deflated.strip_suffix(&TAIL) {
                Some(deflated) if deflated.len() <= most => {
                    self.note(message);
                    self.end(engine);
                    sink(deflated);
                    true
                }
                _ => {
                    self.abandon(engine);
                    false
                }
            }
        })
    }

    fn fragment(
        &mut self,
        rest: &mut Bytes,
        most: usize,
        sink: &mut dyn FnMut(&[u8], bool),
    ) -> Deflated {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let mut open = Box::new(Open { engine: self.begin(), deflated: Vec::new() });
                let piece = rest.slice(..PIECE.min(rest.len()));
                if !Self::begins_well(&mut open.engine, &piece, &mut open.deflated) {
                    self.abandon(open.engine);
                    return Deflated::Plain;
                }
                drop(rest.split_to(piece.len()));
                self.note(&piece);
                open
            }
        };
        // Keep back the bytes to be removed at the end.
        let mut room = FRAGMENT_INPUT;
        while !rest.is_empty() && room > 0 && open.deflated.len() <= most.saturating_add(TAIL.len())
        {
            let piece = rest.split_to(PIECE.min(rest.len()).min(room));
            room -= piece.len();
            self.note(&piece);
            // Flushed for a shorter fragment as well, so that it is not empty.
            open.engine.deflate(&piece, rest.is_empty() || room == 0, &mut open.deflated);
        }
        let len = match open.deflated.strip_suffix(&TAIL) {
            Some(deflated) if rest.is_empty() => deflated.len(),
            _ => open.deflated.len(),
        };
        let is_last = rest.is_empty() && len <= most;
        sink(&open.deflated[..len.min(most)], is_last);
        if is_last {
            self.end(open.engine);
        } else {
            open.deflated.drain(..len.min(most));
            self.open = Some(open);
        }
        Deflated::Fragment { is_last }
    }

    fn kind(&self) -> Option<u16> {
        let Make { level, window_bits } = self.make;
        self.context.is_none().then_some(u16::from_be_bytes([level, window_bits]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::compression::Inflating as _;
    use crate::deflate::inflater::Inflater;
    use proptest::prelude::*;

    const EASY: [&str; 4] = ["{\"ship\":", "\"ahoy\",", "\"at\":[1,2,3]}", "null"];

    fn message() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => prop::collection::vec(prop::sample::select(&EASY[..]), 0..60)
                .prop_map(|words| words.concat().into_bytes()),
            2 => prop::collection::vec(any::<u8>(), 0..600),
            1 => (0usize..200_000, any::<u64>()).prop_map(|(len, seed)| noise(len, seed)),
            2 => (0usize..200_000, 1usize..256).prop_map(|(len, step)| {
                (0..=250u8).cycle().flat_map(move |byte| vec![byte; step]).take(len).collect()
            }),
        ]
    }

    /// What does not become shorter.
    fn noise(len: usize, mut seed: u64) -> Vec<u8> {
        let next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    /// The fragments that a message becomes, or `None` where it is sent as it is.
    fn deflated(deflater: &mut Deflater, message: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
        let mut fragments = Vec::new();
        if !deflater.wants(message.len()) {
            return None;
        }
        if message.len() <= most {
            let is_shorter = deflater.whole(message, &mut |whole| fragments.push(whole.to_vec()));
            return is_shorter.then_some(fragments);
        }
        let mut rest = Bytes::copy_from_slice(message);
        loop {
            let mut was_last = None;
            let deflated = deflater.fragment(&mut rest, most, &mut |fragment, is_last| {
                fragments.push(fragment.to_vec());
                was_last = Some(is_last);
            });
            match deflated {
                Deflated::Plain => {
                    assert!(fragments.is_empty() && rest == message);
                    return None;
                }
                Deflated::Fragment { is_last } => {
                    assert_eq!(was_last, Some(is_last));
                    if is_last {
                        assert!(rest.is_empty());
                        return Some(fragments);
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn what_was_deflated_inflates_to_the_same(
            level in 1u8..=9,
            window_bits in 9u8..=15,
            takeover: bool,
            threshold in 1u32..200,
            most in prop_oneof![Just(usize::MAX), 1usize..50, 50usize..20_000],
            messages in prop::collection::vec(message(), 1..8),
        ) {
            let make = Make { level, window_bits };
            let mut deflater = Deflater::new(make, threshold, takeover);
            let mut inflater = Inflater::new(takeover, Some(window_bits));
            for message in messages {
                let Some(fragments) = deflated(&mut deflater, &message, most) else { continue };
                let (last, others) = fragments.split_last().unwrap();
                prop_assert!(others.iter().all(|fragment| (1..=most).contains(&fragment.len())));
                let shorter = others.iter().filter(|fragment| fragment.len() < most).count();
                prop_assert!(shorter <= message.len() / FRAGMENT_INPUT);
                prop_assert!(last.len() <= most);
                let mut inflated = Vec::new();
                let mut sink = |chunk: &[u8]| {
                    inflated.extend_from_slice(chunk);
                    true
                };
                for fragment in &fragments {
                    prop_assert_eq!(inflater.inflate(fragment, &mut sink), Ok(()));
                }
                prop_assert_eq!(inflater.finish(&mut sink), Ok(()));
                prop_assert!(inflated == message, "{} bytes, not {}", inflated.len(), message.len());
            }
        }
    }

    fn deflater(window_bits: u8, takeover: bool) -> Deflater {
        Deflater::new(Make { level: 3, window_bits }, 1, takeover)
    }

    #[test]
    fn a_message_that_does_not_become_shorter_is_sent_as_it_is_where_that_may_be() {
        let short = noise(300, 1);
        let long = noise(200_000, 2);
        for (window_bits, takeover) in [(15, false), (10, true), (9, true)] {
            let mut deflater = deflater(window_bits, takeover);
            for _ in 0..2 {
                assert_eq!(deflated(&mut deflater, &short, 1000), None);
                assert_eq!(deflated(&mut deflater, &long, 1000), None);
            }
        }
        // An engine that has seen it can't forget it alone.
        let mut deflater = deflater(13, true);
        let fragments = deflated(&mut deflater, &short, 1000).unwrap();
        assert!(fragments[0].len() <= short.len() + 6);
        assert_eq!(deflated(&mut deflater, &long, 1000), None);
    }

    #[test]
    fn a_fragment_takes_no_more_than_so_much_of_a_message() {
        for most in [16 << 10, usize::MAX - 1] {
            let mut deflater = deflater(15, false);
            let mut inflater = Inflater::new(false, None);
            let message = Bytes::from(vec![b'a'; 2 << 20]);
            let (mut rest, mut inflated, mut fragments) = (message.clone(), 0, 0);
            let mut is_last = false;
            while !is_last {
                let before = rest.len();
                deflater.fragment(&mut rest, most, &mut |fragment, last| {
                    assert!(!fragment.is_empty() && fragment.len() <= most);
                    (fragments, is_last) = (fragments + 1, last);
                    let sink = &mut |chunk: &[u8]| {
                        inflated += chunk.len();
                        true
                    };
                    inflater.inflate(fragment, sink).unwrap();
                });
                assert!(before - rest.len() <= PIECE + FRAGMENT_INPUT);
            }
            inflater.finish(&mut |chunk| chunk.is_empty()).unwrap();
            assert_eq!((inflated, fragments), (message.len(), 8));
        }
    }

    #[test]
    fn a_message_is_not_held_once_all_of_it_is_deflated() {
        for (window_bits, takeover) in [(15, false), (12, true), (15, true)] {
            let mut deflater = deflater(window_bits, takeover);
            let message = Bytes::from(EASY.concat().repeat(4000));
            let mut rest = message.clone();
            let mut deflated = Deflated::Plain;
            while !rest.is_empty() {
                deflated = deflater.fragment(&mut rest, 10, &mut |_, _| {});
            }
            assert_eq!(deflated, Deflated::Fragment { is_last: false });
            assert!(message.is_unique(), "{window_bits} bits");
        }
    }

    #[test]
    fn the_first_of_a_long_message_decides_for_one_in_a_single_frame_too() {
        let message = [noise(PIECE, 4), vec![0; 4 * PIECE]].concat();
        for most in [1000, usize::MAX] {
            assert_eq!(deflated(&mut deflater(15, false), &message, most), None);
        }
    }

    #[test]
    fn a_message_that_was_sent_as_it_is_is_not_referred_to() {
        let noise = noise(400, 3);
        for window_bits in [12, 15] {
            let mut deflater = deflater(window_bits, true);
            let mut inflater = Inflater::new(true, Some(window_bits));
            // In this order, the second would refer to the first if that could be.
            for message in [noise.clone(), [&noise[..], &noise].concat()] {
                let Some(fragments) = deflated(&mut deflater, &message, 10_000) else { continue };
                let mut inflated = Vec::new();
                inflater
                    .inflate(&fragments[0], &mut |chunk| {
                        inflated.extend_from_slice(chunk);
                        true
                    })
                    .unwrap();
                inflater.finish(&mut |_| true).unwrap();
                assert_eq!(inflated, message);
            }
        }
    }

    #[test]
    fn context_takeover_makes_repeated_messages_shorter_and_nothing_else_does() {
        let message = r#"{"ship":"Endurance","at":[-68.6,-52.4],"crew":28}"#.as_bytes();
        for (window_bits, takeover) in [(15, false), (9, true), (12, true), (15, true)] {
            let mut deflater = deflater(window_bits, takeover);
            let first = deflated(&mut deflater, message, 1000);
            let second = deflated(&mut deflater, message, 1000);
            if takeover {
                assert!(second.unwrap()[0].len() < 15);
            } else {
                assert_eq!(second, first);
            }
        }
    }
}
