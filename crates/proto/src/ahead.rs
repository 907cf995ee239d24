//! Inspection of unread bytes.

use bytes::Bytes;

use crate::wire::header::Header;
use crate::wire::mask;
use crate::wire::opcode::Opcode;

/// Returns the last ping in `unread`, which begins with a frame, and its offset. For a host that
/// answers pings while its program is too busy to receive.
///
/// ```
/// use towline_proto::latest_ping;
///
/// let unread = [0x82, 1, 7, 0x89, 1, b'1', 0x89, 1, b'2', 0x82, 100];
/// assert_eq!(latest_ping(&unread), Some((6, "2".into())));
/// ```
pub fn latest_ping(unread: &[u8]) -> Option<(usize, Bytes)> {
    let mut latest = None;
    let mut at = 0;
    while let Ok(Some((header, header_len))) = Header::decode(&unread[at..]) {
        let begin = at + header_len;
        let end = usize::try_from(header.payload_len).ok().and_then(|len| begin.checked_add(len));
        let Some(payload) = end.and_then(|end| unread.get(begin..end)) else { break };
        if header.opcode == Opcode::Ping {
            latest = Some((at, header.mask, payload));
        }
        at = begin + payload.len();
    }
    let (at, key, payload) = latest?;
    let mut payload = payload.to_vec();
    if let Some(key) = key {
        mask::apply(key, 0, &mut payload);
    }
    Some((at, payload.into()))
}

/// Returns whether `unread`, which begins with a frame, ends at the end of one and holds at most
/// `most` frames.
///
/// ```
/// use towline_proto::ends_with_frame;
///
/// // An empty ping, then the first byte of another frame.
/// assert!(ends_with_frame(&[0x89, 0], 8));
/// assert!(!ends_with_frame(&[0x89, 0, 0x89], 8));
/// ```
pub fn ends_with_frame(unread: &[u8], most: usize) -> bool {
    let mut rest = unread;
    for _ in 0..most {
        let Ok(Some((header, header_len))) = Header::decode(rest) else { return false };
        let len =
            usize::try_from(header.payload_len).ok().and_then(|len| len.checked_add(header_len));
        match len.and_then(|len| rest.get(len..)) {
            Some([]) => return true,
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_ping_is_read_and_what_is_no_frame_is_the_end() {
        let ping = [0x89, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
        for rest in [&[][..], &[0x89], &[0x83, 0], &[0x89, 0x82, 1, 2, 3, 4, 5]] {
            let unread = [&ping[..], rest].concat();
            assert_eq!(latest_ping(&unread), Some((0, "hi".into())), "{rest:?}");
        }
        assert_eq!(latest_ping(&[0x82, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255]), None);
    }

    #[test]
    fn frames_that_end_where_the_bytes_do_are_told_from_others() {
        let two = [0x81, 1, b'a', 0x82, 0];
        assert!(ends_with_frame(&two, 2) && ends_with_frame(&two[..3], 1));
        assert!(!ends_with_frame(&two, 1), "there are more");
        for broken in [&two[..1], &two[..2], &two[..4], &[0x83, 0][..], &[]] {
            assert!(!ends_with_frame(broken, 9), "{broken:?}");
        }
    }
}
