//! The protocol core without a socket, for the suite `differential`: cases on the standard input,
//! a verdict for each on the standard output, both as JSON on a line.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Buf as _;
use serde_json::{Value, json};
use towline_proto::handshake::parse_extension_list;
use towline_proto::{
    Compression, Config, Connection, Deflate, Incoming, Input, Message, Negotiated, Role,
};

/// Answers each case of the suite.
///
/// # Errors
///
/// The first line that is not a case.
pub(crate) fn run(cases: impl BufRead, mut verdicts: impl Write) -> Result<()> {
    for line in cases.lines() {
        let line = line?;
        let case = serde_json::from_str(&line)?;
        let verdict = judge(&case).with_context(|| format!("not a case: {line}"))?;
        writeln!(verdicts, "{verdict}")?;
    }
    Ok(verdicts.flush()?)
}

/// Receives what the case says in the pieces that it says, and sends its messages.
fn judge(case: &Value) -> Result<Value> {
    let role = if case["role"] == "client" { Role::Client } else { Role::Server };
    let limit = usize::try_from(case["limit"].as_u64().context("limit")?)?;
    let config = Config::server()
        .max_received_frame_size(limit)
        .max_received_message_size(limit)
        .max_received_fragments(usize::MAX.try_into()?)
        .max_received_control_rate(None)
        .fragmentation_threshold(
            usize::try_from(case["threshold"].as_u64().unwrap_or(100))?.try_into()?,
        );
    let compression = case["extension"].as_str().map(|text| negotiated(role, text)).transpose()?;
    let now = Instant::now();
    let mut connection = Connection::new(role, &config, now).with_compression(compression.as_ref());

    let mut written = Vec::new();
    for message in strings(&case["send"])? {
        let bytes = decode_hex(message)?;
        let message = match String::from_utf8(bytes) {
            Ok(text) => Message::text(text),
            Err(error) => Message::binary(error.into_bytes()),
        };
        connection.session().send(message).map_err(|refused| anyhow!("{}", refused.why()))?;
        while let Some(out) = connection.session().poll_transmit() {
            written.extend_from_slice(out.chunk());
            out.advance(out.chunk().len());
            out.handle_flushed();
        }
    }

    let (mut events, mut verdict, mut why) = (Vec::new(), "open", String::new());
    for piece in strings(&case["pieces"])? {
        let mut piece = decode_hex(piece)?;
        let mut input = Input::new(&mut piece);
        loop {
            events.push(match connection.poll(now, &mut input) {
                Incoming::Text(text) => json!(["text", encode_hex(text.as_bytes())]),
                Incoming::Binary(bytes) => json!(["binary", encode_hex(&bytes)]),
                Incoming::Ping(payload) => json!(["ping", encode_hex(&payload)]),
                Incoming::Pong(payload) => json!(["pong", encode_hex(&payload)]),
                Incoming::Close(frame) => {
                    verdict = "closed";
                    json!(["close", frame.code().get(), frame.reason()])
                }
                Incoming::Fault(fault) => {
                    (verdict, why) = ("refused", format!("{fault:?}"));
                    break;
                }
                _ => break,
            });
        }
    }
    Ok(json!({
        "events": events, "verdict": verdict, "why": why, "written": encode_hex(&written)
    }))
}

/// What a handshake comes to whose answer is `extension`.
fn negotiated(role: Role, extension: &str) -> Result<Negotiated> {
    let extensions = parse_extension_list(extension)?;
    let deflate = if role == Role::Client { Deflate::client() } else { Deflate::server() };
    // Agrees to whatever is asked for, and compresses short messages too.
    let deflate = deflate.threshold(1).send_context_takeover(true).receive_context_takeover(true);
    let compression = Compression::from(deflate);
    let negotiated = match role {
        Role::Client => compression.verify(&extensions)?,
        Role::Server => compression.answer(&extensions),
    };
    let negotiated = negotiated.context("nothing was agreed on")?;
    let agreed = negotiated.extension().to_string();
    ensure!(
        role == Role::Client || agreed == extension,
        "the server's answer to {extension:?} is {agreed:?}"
    );
    Ok(negotiated)
}

fn strings(value: &Value) -> Result<Vec<&str>> {
    let values = value.as_array().context("a list")?;
    values.iter().map(|value| value.as_str().context("a string")).collect()
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_hex(text: &str) -> Result<Vec<u8>> {
    let digit = |digit: u8| {
        let digit = char::from(digit).to_digit(16).context("a hexadecimal digit")?;
        u8::try_from(digit).context("a hexadecimal digit")
    };
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let &[high, low] = pair else { bail!("an odd number of digits") };
            Ok(digit(high)? << 4 | digit(low)?)
        })
        .collect()
}
