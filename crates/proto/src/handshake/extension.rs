//! `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).

use std::fmt;

use http::{HeaderMap, header};

use crate::compression::{Compression, Method, Negotiated, Params};
use crate::handshake::excerpt::excerpt;
use crate::handshake::token::{is_token, is_token_byte, trim};

/// The most extensions in one handshake. Browsers send one.
const MAX_EXTENSIONS: usize = 32;

/// The most parameters of one extension. permessage-deflate defines four.
const MAX_PARAMS: usize = 32;

/// An extension in a handshake: `permessage-deflate; client_max_window_bits=12`.
///
/// This is the text only; it does not mean that the extension is supported. Parameters keep their
/// order and are not deduplicated: their meaning is up to the extension.
///
/// ```
/// use towline_proto::handshake::Extension;
///
/// let extension = Extension::new("permessage-deflate")?
///     .param("server_no_context_takeover", None)?
///     .param("client_max_window_bits", Some("12"))?;
/// assert_eq!(
///     extension.to_string(),
///     "permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
/// );
/// # Ok::<(), towline_proto::handshake::ExtensionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    name: String,
    params: Vec<Param>,
}

/// A parameter of an [`Extension`].
///
/// [`Extension`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Param {
    name: String,
    value: Option<String>,
}

impl Extension {
    /// Creates an extension without parameters.
    ///
    /// # Errors
    ///
    /// [`ExtensionError::NotToken`] if the name is not an HTTP token.
    pub fn new(name: impl Into<String>) -> Result<Self, ExtensionError> {
        Ok(Self { name: checked(name.into())?, params: Vec::new() })
    }

    /// Adds a parameter, with or without a value.
    ///
    /// # Errors
    ///
    /// [`ExtensionError::NotToken`] if the name or the value is not an HTTP token.
    pub fn param(mut self, name: &str, value: Option<&str>) -> Result<Self, ExtensionError> {
        let value = value.map(|value| checked(value.to_owned())).transpose()?;
        self.params.push(Param { name: checked(name.to_owned())?, value });
        Ok(self)
    }

    /// The name, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the parameters, in order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Returns the names and values of the parameters.
    pub(crate) fn pairs(&self) -> Vec<(&str, Option<&str>)> {
        self.params.iter().map(|param| (param.name(), param.value())).collect()
    }

    fn of(method: &dyn Method, params: Params) -> Self {
        let params = params.into_iter().map(|(name, value)| Param {
            name: name.to_owned(),
            value: value.map(|value| value.to_string()),
        });
        Self { name: method.name().to_owned(), params: params.collect() }
    }
}

/// Negotiation, for hosts that do not use [`Offer`] and [`Opening`], which include it.
///
/// [`Offer`]: crate::handshake::server::Offer
/// [`Opening`]: crate::handshake::client::Opening
impl Compression {
    /// Returns the extensions that a client offers, in order of preference. Send all of them in one
    /// `Sec-WebSocket-Extensions`, separated by commas. RFC 7692, section 7.1: the list may
    /// "include multiple PMCEs with the same extension name"; the server accepts the first that it
    /// supports.
    pub fn offers(&self) -> Vec<Extension> {
        let offers = self.method.offers(self).into_iter();
        offers.map(|params| Extension::of(self.method, params)).collect()
    }

    /// Accepts, as a server, the first of the client's offers that this can meet. The answer to
    /// send is [`Negotiated::extension`]. Returns `None` to decline; the connection then has no
    /// compression.
    pub fn answer(&self, offered: &[Extension]) -> Option<Negotiated> {
        offered
            .iter()
            .filter(|offered| offered.name() == self.method.name())
            .find_map(|offered| self.method.answer(self, &offered.pairs()))
    }
}

impl Negotiated {
    /// Returns the agreed extension for the server's answer. The order of the parameters may differ
    /// from that of the offer.
    pub fn extension(&self) -> Extension {
        Extension::of(self.method, self.method.params(self))
    }
}

impl Param {
    /// The name, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value without quotes, or `None` if the parameter has none.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.params.iter().try_for_each(|param| write!(f, "; {param}"))
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        // A value is a token, so it never needs quotes.
        self.value.as_ref().map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

fn checked(token: String) -> Result<String, ExtensionError> {
    if is_token(&token) { Ok(token) } else { Err(ExtensionError::NotToken(excerpt(token))) }
}

/// Parses the `Sec-WebSocket-Extensions` headers of a request or response.
///
/// Several headers form one list: RFC 6455, section 9.1, says that the header "MAY appear multiple
/// times in an HTTP request (which is logically the same as a single |Sec-WebSocket-Extensions|
/// header field that contains all values)". A quoted value is unquoted and must be a token. Empty
/// list elements are ignored. A missing or empty header is an empty list. The time is linear in the
/// length of the headers.
///
/// ```
/// use http::HeaderMap;
/// use towline_proto::handshake::parse_extensions;
///
/// let mut headers = HeaderMap::new();
/// let offer = "permessage-deflate; client_max_window_bits";
/// headers.insert("sec-websocket-extensions", offer.parse().unwrap());
/// let extensions = parse_extensions(&headers).unwrap();
/// assert_eq!(extensions[0].name(), "permessage-deflate");
/// ```
///
/// # Errors
///
/// [`ExtensionError`] if a header does not follow the grammar, for more than 32 extensions, and for
/// more than 32 parameters of one extension.
pub fn parse_extensions(headers: &HeaderMap) -> Result<Vec<Extension>, ExtensionError> {
    let mut extensions = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        parse_line(line.as_bytes(), &mut extensions)?;
    }
    Ok(extensions)
}

/// Parses the value of a single `Sec-WebSocket-Extensions` header, like [`parse_extensions`].
///
/// # Errors
///
/// See [`parse_extensions`].
pub fn parse_extension_list(value: impl AsRef<[u8]>) -> Result<Vec<Extension>, ExtensionError> {
    let mut extensions = Vec::new();
    parse_line(value.as_ref(), &mut extensions)?;
    Ok(extensions)
}

fn parse_line(line: &[u8], extensions: &mut Vec<Extension>) -> Result<(), ExtensionError> {
    let mut cursor = Cursor { line, rest: line };
    loop {
        while cursor.eat(b',') {}
        if cursor.at_end() {
            return Ok(());
        }
        if extensions.len() == MAX_EXTENSIONS {
            return Err(ExtensionError::TooMany {
                what: "extensions in a handshake",
                limit: MAX_EXTENSIONS,
            });
        }
        let name = cursor.token()?;
        extensions.push(Extension { name, params: cursor.params()? });
        if !cursor.at_end() && !cursor.eat(b',') {
            return Err(cursor.unexpected());
        }
    }
}

/// The unparsed rest of a line. Optional white space is skipped before each word: the grammar of
/// RFC 6455 is that of RFC 2616, which allows it between any two words.
struct Cursor<'a> {
    line: &'a [u8],
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn eat(&mut self, wanted: u8) -> bool {
        self.skip_space();
        match self.rest {
            [first, rest @ ..] if *first == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn token(&mut self) -> Result<String, ExtensionError> {
        self.skip_space();
        let length = self.rest.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, rest) = self.rest.split_at(length);
        if token.is_empty() {
            return Err(self.unexpected());
        }
        self.rest = rest;
        Ok(String::from_utf8_lossy(token).into_owned())
    }

    fn params(&mut self) -> Result<Vec<Param>, ExtensionError> {
        let mut params = Vec::new();
        while self.eat(b';') {
            if params.len() == MAX_PARAMS {
                return Err(ExtensionError::TooMany {
                    what: "parameters of an extension",
                    limit: MAX_PARAMS,
                });
            }
            let name = self.token()?;
            let value = if self.eat(b'=') { Some(self.value()?) } else { None };
            params.push(Param { name, value });
        }
        Ok(params)
    }

    fn value(&mut self) -> Result<String, ExtensionError> {
        if !self.eat(b'"') {
            return self.token();
        }
        let mut unquoted = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    break;
                }
                [b'\\', escaped, rest @ ..] => {
                    unquoted.push(*escaped);
                    self.rest = rest;
                }
                [byte, rest @ ..] => {
                    unquoted.push(*byte);
                    self.rest = rest;
                }
                [] => return Err(self.unexpected()),
            }
        }
        // RFC 6455, section 9.1: "the value after quoted-string unescaping MUST conform to the
        // 'token' ABNF".
        match String::from_utf8(unquoted) {
            Ok(value) => checked(value),
            Err(error) => Err(ExtensionError::NotToken(excerpt(error.as_bytes()))),
        }
    }

    fn unexpected(&self) -> ExtensionError {
        ExtensionError::Syntax {
            value: excerpt(trim(self.line)),
            position: self.line.len() - self.rest.len(),
        }
    }
}

/// The error for an invalid `Sec-WebSocket-Extensions`.
///
/// [`parse_extensions`] returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionError {
    /// The header does not follow the grammar of RFC 6455, section 9.1.
    Syntax {
        /// The beginning of the header's value.
        value: String,
        /// The number of bytes before the error.
        position: usize,
    },
    /// A name or a value is not a token: it is empty, or has a separator, a space, a control
    /// character or a character outside ASCII.
    NotToken(String),
    /// The list is longer than a fixed limit.
    TooMany {
        /// The kind of items in the list.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { value, position } => write!(
                f,
                "Sec-WebSocket-Extensions is {value}, which is invalid at byte {position}"
            ),
            Self::NotToken(value) => {
                write!(f, "Sec-WebSocket-Extensions: {value} is not a token")
            }
            Self::TooMany { what, limit } => {
                write!(f, "Sec-WebSocket-Extensions: more than {limit} {what} (a fixed limit)")
            }
        }
    }
}

impl std::error::Error for ExtensionError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn parse(lines: &[&str]) -> Result<Vec<Extension>, ExtensionError> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                header::SEC_WEBSOCKET_EXTENSIONS,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        parse_extensions(&headers)
    }

    fn shown(lines: &[&str]) -> Vec<String> {
        parse(lines).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_examples_of_rfc_6455_section_9_1() {
        let split = shown(&["foo", "bar; baz=2"]);
        assert_eq!(split, shown(&["foo, bar; baz=2"]));
        assert_eq!(split, ["foo", "bar; baz=2"]);
        assert_eq!(
            shown(&["deflate-stream", "mux; max-channels=4; flow-control, deflate-stream"]),
            ["deflate-stream", "mux; max-channels=4; flow-control", "deflate-stream"],
        );
    }

    #[test]
    fn a_quoted_value_is_the_token_within() {
        assert_eq!(shown(&[r#"a; b="1\0", c; d = "x" ;e"#]), ["a; b=10", "c; d=x; e"]);
        for bad in [r#"a; b="""#, r#"a; b="1 2""#, r#"a; b="1,2""#, "a; b=\"\u{e9}\""] {
            assert!(matches!(parse(&[bad]), Err(ExtensionError::NotToken(_))), "{bad}");
        }
    }

    #[test]
    fn empty_elements_are_ignored() {
        assert_eq!(shown(&[" ,, a ,\t, b; c,", ""]), ["a", "b; c"]);
        assert_eq!(parse(&[]), Ok(vec![]));
        assert_eq!(parse(&[",, "]), Ok(vec![]));
    }

    #[test]
    fn repeated_parameters_and_extensions_are_kept() {
        assert_eq!(shown(&["a; b; b=1; b", "a"]), ["a; b; b=1; b", "a"]);
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_an_error() {
        for bad in [
            "a b",
            "a;",
            "a; ;b",
            "a; =1",
            "a; b=",
            "a; b==1",
            "a=1",
            "\"a\"",
            "a; \"b\"",
            "a/1",
            "a; b=\"1",
            "a; b=\"1\\",
            "a; b=\"1\"2",
            ";",
            "=",
            "a, ;",
            "\u{e9}",
        ] {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_says_where() {
        let error = parse(&["ok, not ok"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Sec-WebSocket-Extensions is \"ok, not ok\", which is invalid at byte 8"
        );
    }

    #[test]
    fn the_lists_have_limits() {
        assert_eq!(parse(&[&"a,".repeat(MAX_EXTENSIONS)]).unwrap().len(), MAX_EXTENSIONS);
        let error = parse(&[&"a,".repeat(MAX_EXTENSIONS + 1)]).unwrap_err();
        assert!(error.to_string().contains("more than 32 extensions"), "{error}");
        assert!(parse(&[&format!("a{}", ";b".repeat(MAX_PARAMS))]).is_ok());
        let error = parse(&[&format!("a{}", ";b".repeat(MAX_PARAMS + 1))]).unwrap_err();
        assert!(error.to_string().contains("more than 32 parameters"), "{error}");
    }

    #[test]
    fn nothing_but_tokens_can_be_built() {
        assert!(Extension::new("a b").is_err());
        assert!(Extension::new("a").unwrap().param("b", Some("\r\n")).is_err());
        assert!(Extension::new("a").unwrap().param("", None).is_err());
    }

    fn extension() -> impl Strategy<Value = Extension> {
        let token = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}";
        let param =
            (token, proptest::option::of(token)).prop_map(|(name, value)| Param { name, value });
        (token, proptest::collection::vec(param, 0..5))
            .prop_map(|(name, params)| Extension { name, params })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(list in proptest::collection::vec(extension(), 0..5)) {
            let line: Vec<_> = list.iter().map(ToString::to_string).collect();
            prop_assert_eq!(parse(&[&line.join(", ")]), Ok(list));
        }

        #[test]
        fn parsing_never_panics(line in r#"[a-c;,="\\ \t]{0,40}"#) {
            let _ = parse(&[&line]);
        }

        #[test]
        fn parsing_bytes_never_panics(line: Vec<u8>) {
            let _ = parse_line(&line, &mut Vec::new());
        }
    }
}
