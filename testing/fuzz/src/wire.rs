//! Frames made from bytes: mostly legal ones, so that an input gets somewhere before it goes wrong.

use arbitrary::{Result, Unstructured};
use towline_kit::{FrameBytes, frame};
use towline_proto::Role;

/// What the input says as `sender`, as frames or as whatever bytes there are. `may_compress` says
/// whether some messages are marked as compressed.
pub fn said(sender: Role, may_compress: bool, input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut is_open = false;
    for _ in 0..input.int_in_range(0..=32)? {
        let made = one(sender, may_compress, input, &mut is_open)?;
        bytes.extend_from_slice(&made.bytes());
    }
    let left = input.len();
    bytes.extend_from_slice(input.bytes(left)?);
    Ok(bytes)
}

fn one(
    sender: Role,
    may_compress: bool,
    input: &mut Unstructured<'_>,
    is_open: &mut bool,
) -> Result<FrameBytes> {
    let mut opcode = *input.choose(&[1, 1, 2, 2, 9, 10, 8])?;
    let is_wrong = input.ratio(1, 24)?;
    let mut fin: bool = input.arbitrary()?;
    let mut payload = payload(input)?;
    if opcode & 8 != 0 {
        fin = true;
        payload.truncate(125);
    } else {
        if *is_open {
            opcode = 0;
        }
        *is_open = !fin;
    }
    let mut made = frame().opcode(opcode).fin(fin).payload(payload).by(sender);
    // The first byte says whether it is compressed, where that was agreed on.
    if may_compress && opcode & 8 == 0 && opcode != 0 && input.ratio(1, 4)? {
        made = made.rsv(4);
    }
    if is_wrong {
        made = match input.int_in_range(0..=4)? {
            0 => made.rsv(input.int_in_range(0..=7)?),
            1 => made.opcode(input.int_in_range(0..=15)?),
            2 => made.length_as(*input.choose(&[126, 127])?),
            3 => made.announcing(input.arbitrary()?),
            _ => made.fin(!fin),
        };
    }
    Ok(made)
}

/// A payload: text, a few bytes, or many alike.
pub fn payload(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match input.int_in_range(0..=3)? {
        0 => input.arbitrary::<&str>()?.as_bytes().to_vec(),
        1 => input.arbitrary::<&[u8]>()?.to_vec(),
        2 => vec![input.arbitrary()?; input.int_in_range(0..=4_000)?],
        _ => "é€😀".repeat(input.int_in_range(0..=40)?).into_bytes(),
    })
}

/// The role at the other end.
pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// One of the two roles.
pub fn role(input: &mut Unstructured<'_>) -> Result<Role> {
    Ok(*input.choose(&[Role::Client, Role::Server])?)
}
