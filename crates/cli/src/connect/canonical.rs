//! One way to write JSON, for comparing values that are written in different ways.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::connect::json::{Lexer, Token};

/// The most digits of a number that an `f64` keeps. One with more stays as it is written.
const DIGITS: usize = 15;

/// The most objects within each other. Sorting their members copies them once for each.
const OBJECTS: usize = 1000;

/// An object whose members are being read.
#[derive(Default)]
struct Object {
    /// By their keys. Of several with one key, the last counts.
    members: BTreeMap<String, String>,
    /// The key of the value that comes next.
    key: Option<String>,
}

/// Writes JSON without white space, with the members of objects in order, and numbers and strings in
/// one form. Returns `None` if the text is not JSON.
pub(crate) fn canonical(text: &str) -> Option<String> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    let mut objects: Vec<Object> = Vec::new();
    // The text around each object, and that of the value which is read.
    let mut around: Vec<String> = Vec::new();
    let mut out = String::new();
    // Whether a bracket that is open is that of an object.
    let mut open: Vec<bool> = Vec::new();
    for token in Lexer::new(text) {
        match token {
            Token::Open("{") => {
                if objects.len() == OBJECTS {
                    return None;
                }
                open.push(true);
                objects.push(Object::default());
                around.push(std::mem::take(&mut out));
            }
            Token::Open(bracket) => {
                open.push(false);
                out.push_str(bracket);
            }
            Token::Close(bracket) => match open.pop()? {
                false => out.push_str(bracket),
                true => {
                    let mut object = objects.pop()?;
                    keep(&mut object, &mut out);
                    out = around.pop()?;
                    write(&mut out, &object);
                }
            },
            Token::Comma if open.last() == Some(&true) => keep(objects.last_mut()?, &mut out),
            Token::Comma => out.push(','),
            Token::Colon => objects.last_mut()?.key = Some(std::mem::take(&mut out)),
            Token::String(text) => {
                let text: String = serde_json::from_str(text).ok()?;
                out.push_str(&serde_json::to_string(&text).ok()?);
            }
            Token::Other(text) => out.push_str(&number(text)),
        }
    }
    Some(out)
}

/// The value that was read is that of the key.
fn keep(object: &mut Object, value: &mut String) {
    if let Some(key) = object.key.take() {
        object.members.insert(key, std::mem::take(value));
    }
}

fn write(out: &mut String, object: &Object) {
    out.push('{');
    for (at, (key, value)) in object.members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.extend([key, ":", value]);
    }
    out.push('}');
}

/// A number in one form, unless that would round it. Words stay as they are.
fn number(text: &str) -> String {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let is_zero = mantissa.bytes().all(|byte| !byte.is_ascii_digit() || byte == b'0');
    match text.parse::<f64>() {
        // Neither too large nor too small.
        Ok(value) if digits <= DIGITS && (value.is_normal() || is_zero) => {
            if is_zero {
                "0".to_owned()
            } else {
                format!("{value:e}")
            }
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_has_one_form() {
        for (one, other) in [
            (r#"{"a":1,"b":[2,{"d":1,"c":2}]}"#, r#" {"b" : [2,{"c":2,"d":1} ],"a":1 }"#),
            (r#""\u00e9\/""#, "\"é/\""),
            ("[1, 1.50, 100, -0]", "[1.0,1.5,1e2,0]"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            ("[]", " [ ] "),
            (r#"{"a":{},"b":[[]]}"#, r#"{"b":[[]],"a":{}}"#),
        ] {
            let form = canonical(one);
            assert!(form.is_some());
            assert_eq!(form, canonical(other), "{one}");
        }
    }

    #[test]
    fn other_values_have_other_forms() {
        for (one, other) in [
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            ("0.12345678901234567", "0.12345678901234568"),
            ("1e400", "1e401"),
            ("1e-400", "1e-401"),
            ("1", "\"1\""),
            ("1", "-1"),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[[1,2]]"),
            ("[]", "{}"),
            (r#"{"a":{"b":1}}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":"b\",\"c"}"#, r#"{"a":"b","c":1}"#),
            ("null", "\"null\""),
        ] {
            assert_ne!(canonical(one).unwrap(), canonical(other).unwrap(), "{one}");
        }
        for text in ["", "{", "[1,]", "nul", "{\"a\"}", "1 2"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_no_obstacle() {
        let deep = |middle: &str| format!("{}{middle}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(canonical(&deep(" 1 ")), canonical(&deep("1.0")));
        let objects =
            |count, value: &str| format!("{}{value}{}", "{\"a\":".repeat(count), "}".repeat(count));
        assert_eq!(canonical(&objects(1000, " 1")), Some(objects(1000, "1e0")));
        assert_eq!(canonical(&objects(1001, "1")), None);
    }
}
