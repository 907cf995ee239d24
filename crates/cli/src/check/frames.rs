//! Frames byte by byte, valid or not.

use towline_proto::Opcode;
use towline_proto::wire::header::Header;
use towline_proto::wire::mask;

/// The bits of a frame's first byte.
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// The bytes of a frame as a client sends it, masked. Nothing is checked.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = mask::random_key();
    let mut frame = head(first, 0x80, payload.len());
    frame.extend_from_slice(&key);
    mask::extend(key, payload, &mut frame);
    frame
}

/// The bytes of a frame without a mask, which no client may send.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, 0, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// The bytes of a close frame with any code.
pub(crate) fn close(code: u16) -> Vec<u8> {
    masked(FIN | CLOSE, &code.to_be_bytes())
}

fn head(first: u8, mask_bit: u8, len: usize) -> Vec<u8> {
    let mut head = vec![first];
    let long = (len as u64).to_be_bytes();
    match len {
        0..=125 => head.push(mask_bit | long[7]),
        126..=0xFFFF => head.extend_from_slice(&[mask_bit | 126, long[6], long[7]]),
        _ => {
            head.push(mask_bit | 127);
            head.extend_from_slice(&long);
        }
    }
    head
}

/// A frame that the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// The reserved bits, at their place in the first byte.
    pub(crate) rsv: u8,
    pub(crate) opcode: Opcode,
    pub(crate) payload: Vec<u8>,
    /// Whether it is masked, which a server's must not be.
    pub(crate) is_masked: bool,
}

/// Parses a frame at the beginning of `input`. Returns it with its length in bytes, or `None` if
/// bytes are missing.
///
/// # Errors
///
/// The end of a sentence that begins with "the server": what is wrong with the frame.
pub(crate) fn decode(input: &[u8], most: usize) -> Result<Option<(Frame, usize)>, String> {
    let decoded = Header::decode(input).map_err(|malformed| {
        use towline_proto::wire::header::Malformed;
        match malformed {
            Malformed::ReservedOpcode(bits) => {
                format!("sent a frame with the reserved opcode {bits}")
            }
            Malformed::NonMinimalLength(len) => {
                format!("sent a frame whose length of {len} is not in its shortest form")
            }
            other => format!("sent an invalid frame: {other:?}"),
        }
    })?;
    let Some((header, header_len)) = decoded else { return Ok(None) };
    let len = usize::try_from(header.payload_len).ok().filter(|len| *len <= most);
    let len = len.ok_or_else(|| {
        format!("sent a frame of {} bytes; check reads up to {most}", header.payload_len)
    })?;
    let Some(payload) = input.get(header_len..header_len + len) else { return Ok(None) };
    let mut payload = payload.to_vec();
    if let Some(key) = header.mask {
        mask::apply(key, 0, &mut payload);
    }
    let frame = Frame {
        fin: header.fin,
        rsv: header.rsv.bits(),
        opcode: header.opcode,
        payload,
        is_masked: header.mask.is_some(),
    };
    Ok(Some((frame, header_len + len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        for len in [0, 1, 125, 126, 0xFFFF, 0x10000] {
            let payload = vec![7; len];
            for is_masked in [false, true] {
                let bytes =
                    if is_masked { masked } else { unmasked }(FIN | RSV1 | BINARY, &payload);
                let (frame, taken) = decode(&bytes, len).unwrap().unwrap();
                assert_eq!(taken, bytes.len());
                let opcode = Opcode::Binary;
                let payload = payload.clone();
                assert_eq!(frame, Frame { fin: true, rsv: RSV1, opcode, payload, is_masked });
                assert_eq!(decode(&bytes[..bytes.len() - 1], len), Ok(None));
            }
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_named() {
        let decoded = |bytes: &[u8]| decode(bytes, 10).unwrap_err();
        assert!(decoded(&[0x83, 0]).contains("the reserved opcode 3"));
        assert!(decoded(&[0x82, 126, 0, 1, 0]).contains("length of 1 "));
        assert!(decoded(&unmasked(FIN | BINARY, &[0; 11])).contains("11 bytes"));
    }
}
