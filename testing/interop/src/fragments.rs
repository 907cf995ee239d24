//! Messages sent in many frames.

use towline::{Connection, Frame, Message, Result};

/// The payload of a frame in bytes. It is a prime, so that characters of two, three and four bytes are
/// split at every place.
const PAYLOAD: usize = 997;

/// Sends a message in frames of `PAYLOAD` bytes, the last one shorter.
pub(crate) async fn send(connection: &Connection, message: Message) -> Result<()> {
    let is_text = message.is_text();
    let mut rest = message.into_bytes();
    let mut is_first = true;
    loop {
        let payload = rest.split_to(rest.len().min(PAYLOAD));
        let frame = match (is_first, is_text) {
            (true, true) => Frame::text(payload),
            (true, false) => Frame::binary(payload),
            (false, _) => Frame::continuation(payload),
        };
        connection.send_frame(frame.fin(rest.is_empty())).await?;
        if rest.is_empty() {
            return Ok(());
        }
        is_first = false;
    }
}
