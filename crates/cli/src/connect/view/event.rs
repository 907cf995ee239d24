//! Events as lines of JSON.

use std::fmt::{Display, Write as _};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::connect::binary::base64;
use crate::connect::view::Shown;
use crate::say::is_obeyed;
use crate::secrets;

/// A line of JSON. It may be read on a terminal, so characters that it interprets are escaped. All
/// of them are within strings, and have at most four hexadecimal digits.
pub(crate) fn line(event: &dyn Display) -> Shown {
    let mut line = String::new();
    for character in event.to_string().chars() {
        match character {
            obeyed if is_obeyed(obeyed) => {
                let _ = write!(line, "\\u{:04x}", u32::from(obeyed));
            }
            character => line.push(character),
        }
    }
    line.push('\n');
    Shown::Always(line.into_bytes())
}

/// Several headers with one name become a list.
pub(crate) fn headers(headers: &HeaderMap, shows_secrets: bool) -> Map<String, Value> {
    let mut map = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).into_iter();
        let values: Vec<_> =
            values.map(|value| secrets::shown(name.as_str(), value, shows_secrets)).collect();
        let value = if let [value] = &values[..] { json!(value) } else { json!(values) };
        map.insert(name.to_string(), value);
    }
    map
}

/// An event with a payload: as text if it is UTF-8, otherwise as base64.
pub(crate) fn with_payload(event: &str, payload: &Bytes) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("event".to_owned(), json!(event));
    match std::str::from_utf8(payload) {
        Ok(text) => map.insert("text".to_owned(), json!(text)),
        Err(_) => map.insert("base64".to_owned(), json!(base64(payload))),
    };
    map
}
