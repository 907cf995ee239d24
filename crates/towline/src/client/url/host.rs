//! The host of a URL: an ASCII name or an address.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::client::idn;
use crate::client::url::Quote;
use crate::client::url::encode::decode;

/// Characters not allowed in a name, besides control characters: the forbidden domain code points,
/// those that `http::Uri` refuses, and the comma, which would join the values of several `Host`
/// headers.
const FORBIDDEN: &[u8] = b" \"#/:<>?@[\\]^`{|}%,";

/// The host as it stands in a URI, with brackets around an IPv6 address.
pub(crate) fn host(written: &str, quote: Quote) -> Result<String, String> {
    let shown = quote.of(written);
    if let Some(address) = written.strip_prefix('[') {
        return ipv6(address, &shown);
    }
    let decoded = decode(written);
    let name = std::str::from_utf8(&decoded)
        .map_err(|_| format!("the host{shown} is not UTF-8 once its percent signs are decoded"))?;
    let name = match name.is_ascii() {
        true => name.to_ascii_lowercase(),
        false => idn::to_ascii(name).map_err(|why| format!("the host{shown} {why}"))?,
    };
    let is_forbidden = |byte: &u8| !matches!(byte, b'!'..=b'~') || FORBIDDEN.contains(byte);
    if let Some(byte) = name.bytes().find(is_forbidden) {
        let character = quote.of(&char::from(byte).to_string());
        return Err(format!("the host{shown} has a character that a host can't have{character}"));
    }
    if name.is_empty() {
        return Err("the host is missing".to_owned());
    }
    if !ends_in_a_number(&name) {
        return Ok(name);
    }
    let address = ipv4(&name);
    let address = address
        .ok_or_else(|| format!("the host{shown} ends in a number and is not an IPv4 address"))?;
    Ok(address.to_string())
}

fn ipv6(behind_bracket: &str, shown: &str) -> Result<String, String> {
    let Some(address) = behind_bracket.strip_suffix(']') else {
        return Err(format!(
            "the host{shown} is an IPv6 address that does not end in its closing bracket"
        ));
    };
    if address.contains('%') {
        return Err(format!(
            "the host{shown} has a zone id, which a URL can't have: connect a socket yourself and use \
             connect_via"
        ));
    }
    let address: Ipv6Addr =
        address.parse().map_err(|_| format!("the host{shown} is not an IPv6 address"))?;
    Ok(format!("[{address}]"))
}

/// Whether the last part of the name is a number, so that it must be an address.
fn ends_in_a_number(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal || number(last).is_some()
}

/// One to four numbers. The last one fills the remaining bytes.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let numbers: Vec<u64> = name.split('.').map(number).collect::<Option<_>>()?;
    let (last, others) = numbers.split_last().filter(|(_, others)| others.len() < 4)?;
    let left = 4 - u32::try_from(others.len()).ok()?;
    if *last >= 256_u64.pow(left) || others.iter().any(|number| *number > 255) {
        return None;
    }
    let high = others.iter().zip([24, 16, 8]).map(|(number, shift)| number << shift).sum::<u64>();
    u32::try_from(high + last).ok().map(Ipv4Addr::from)
}

/// A number of an address: decimal, octal after `0`, hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        [] => return None,
        _ => (text, 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    match digits {
        "" => Some(0),
        // A number that does not fit here is too large for an address.
        _ => Some(u64::from_str_radix(digits, radix).unwrap_or(u64::MAX)),
    }
}
