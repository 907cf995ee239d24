//! The token of the console: a browser that has it may see the connections.
//!
//! An address says on which machine a request was made, and not by whom. All clients of a proxy on this
//! machine come from a loopback address, and so do all its users. So the program prints a URL with a secret
//! in the fragment. Browsers send no fragment to anybody: it is in no `Referer`, and in no log of a proxy.

use std::env::{self, VarError};
use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::exit::{Exit, Failure};

/// The variable that sets the token: other users of the machine can see options.
const VARIABLE: &str = "TOWLINE_CONSOLE_TOKEN";

/// The lengths of a token.
const SHORTEST: usize = 16;
const LONGEST: usize = 256;

/// How many random bytes are in a token that this program makes.
const BYTES: usize = 16;

/// What a browser needs to see the connections.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// Made by this program, which prints it.
    Made(String),
    /// Chosen by the user. It is not printed, so that it is in no log.
    Chosen(String),
    /// No token is needed.
    Off,
}

impl Token {
    /// The token of the option, or else that of the variable, or else a new one.
    pub(crate) fn new(option: Option<&str>) -> Result<Self, Failure> {
        let variable = match env::var(VARIABLE) {
            Ok(token) => Some(token),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => return Err(no_token(VARIABLE, "is not UTF-8")),
        };
        match (option, variable) {
            (Some(token), _) => Self::read(token, "--console-token"),
            (None, Some(token)) => Self::read(&token, VARIABLE),
            (None, None) => Self::random(),
        }
    }

    /// Reads a token from this source. Errors do not show it.
    pub(crate) fn read(text: &str, source: &str) -> Result<Self, Failure> {
        // Characters that mean the same in a URL and in a header.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        match text.len() {
            _ if text == "off" => Ok(Self::Off),
            _ if !text.bytes().all(is_plain) => Err(no_token(source, "has other characters")),
            SHORTEST..=LONGEST => Ok(Self::Chosen(text.to_owned())),
            length => Err(no_token(source, &format!("has {length} characters"))),
        }
    }

    fn random() -> Result<Self, Failure> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::new(Exit::Unclean, format!("no random numbers for --console-token: {error}"))
        })?;
        Ok(Self::Made(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Whether a browser with this token may see the connections. The time this takes does not depend on
    /// which characters are right.
    pub(crate) fn admits(&self, given: Option<&[u8]>) -> bool {
        match self {
            Self::Off => true,
            Self::Made(token) | Self::Chosen(token) => {
                given.is_some_and(|given| token.as_bytes().ct_eq(given).into())
            }
        }
    }

    /// The end of a URL that is printed: with the token, unless the user knows it.
    pub(crate) fn fragment(&self) -> String {
        match self {
            Self::Made(token) => format!("#token={token}"),
            Self::Chosen(_) | Self::Off => String::new(),
        }
    }
}

fn no_token(source: &str, what: &str) -> Failure {
    let message = format!(
        "{source} {what}: write {SHORTEST} to {LONGEST} letters, digits, and characters of -._~, or off"
    );
    Failure::new(Exit::Usage, message)
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Made(_) => "Made(..)",
            Self::Chosen(_) => "Chosen(..)",
            Self::Off => "Off",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_made_is_long_and_new() {
        let [one, other] = [(); 2].map(|()| Token::random().unwrap());
        assert_ne!(one, other);
        let fragment = one.fragment();
        let token = fragment.strip_prefix("#token=").unwrap();
        assert_eq!(token.len(), 2 * BYTES);
        assert!(one.admits(Some(token.as_bytes())) && !other.admits(Some(token.as_bytes())));
        assert_eq!(Token::read(token, "").unwrap(), Token::Chosen(token.to_owned()));
    }

    #[test]
    fn only_the_whole_token_admits() {
        let token = Token::read("0123456789-._~abc", "").unwrap();
        assert!(token.admits(Some(b"0123456789-._~abc")));
        for wrong in ["", "0", "0123456789-._~ab", "0123456789-._~abcd", "1123456789-._~abc"] {
            assert!(!token.admits(Some(wrong.as_bytes())), "{wrong}");
        }
        assert!(!token.admits(None));
        assert_eq!(token.fragment(), "");
        assert!(Token::Off.admits(None) && Token::Off.admits(Some(b"any")));
    }

    #[test]
    fn a_token_that_is_none_is_not_shown() {
        for (text, words) in [
            ("hush-hush", "has 9 characters"),
            ("", "has 0 characters"),
            (&"x".repeat(257), "has 257 characters"),
            ("hush hush hush hush", "has other characters"),
            ("hush#hush/hush%hush", "has other characters"),
        ] {
            let failure = Token::read(text, "--console-token").unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.starts_with("--console-token has"), "{failure}");
            assert!(failure.message.contains(words), "{failure}");
            assert!(!failure.message.contains("hush"), "{failure}");
        }
        let debug = format!("{:?}", Token::read("hush-hush-hush-hush", "").unwrap());
        assert_eq!(debug, "Chosen(..)");
        assert_eq!(Token::read("off", "").unwrap(), Token::Off);
    }
}
