//! Cookies (RFC 6265): parsing those of requests, and writing those of responses.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

use crate::handshake::excerpt::excerpt;
use crate::handshake::header::visible_value;
use crate::handshake::token::{is_token, trim};

/// A cookie of a request: a name and a value, as the client sent them.
///
/// The value is not decoded: if the application percent-encoded it, it is still encoded.
///
/// [`parse_cookies`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cookie {
    /// The name; never empty.
    pub name: String,
    /// The value, without surrounding quotes.
    pub value: String,
}

/// Parses the cookies of a request, in order, from all `Cookie` headers.
///
/// Accepts everything that browsers send, which is more than RFC 6265 lets a server set. Skips
/// invalid cookies (no `=`, no name, control characters, not UTF-8) instead of failing, so that a
/// cookie set by another page of the same site cannot lock users out. A name may be repeated; the
/// first is the one with the longest path (RFC 6265, section 5.4).
///
/// ```
/// use http::{HeaderMap, header::COOKIE};
/// use towline_proto::handshake::parse_cookies;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(COOKIE, "session=31d4; theme=\"dark\"".parse()?);
/// let cookies = parse_cookies(&headers);
/// assert_eq!((&*cookies[1].name, &*cookies[1].value), ("theme", "dark"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "cookies")]
pub fn parse_cookies(headers: &HeaderMap) -> Vec<Cookie> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(parse_pair)
        .collect()
}

fn parse_pair(pair: &[u8]) -> Option<Cookie> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at(equals);
    let (name, mut value) = (trim(name), trim(value.get(1..)?));
    if let [b'"', inner @ .., b'"'] = value {
        value = inner;
    }
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.contains(char::is_control)).then(|| text.to_owned())
    };
    (!name.is_empty()).then_some(Cookie { name: text(name)?, value: text(value)? })
}

/// A cookie for a response to set: the value of a `Set-Cookie` header (RFC 6265, section 4.1).
///
/// The setters reject values that the grammar does not allow, so no value can end early, begin
/// another attribute, or begin another header. By default there are no attributes: the cookie
/// belongs to the host and directory of the request, lasts until the browser is closed, and is
/// visible to scripts and sent over plain HTTP.
///
/// ```
/// use towline_proto::handshake::{SameSite, SetCookie};
///
/// let cookie = SetCookie::new("session", "31d4d96e407aad42")?
///     .path("/")?
///     .secure(true)
///     .http_only(true)
///     .same_site(SameSite::Lax);
/// assert_eq!(
///     cookie.to_string(),
///     "session=31d4d96e407aad42; Path=/; Secure; HttpOnly; SameSite=Lax",
/// );
/// # Ok::<(), towline_proto::handshake::CookieError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    expires: Option<String>,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
}

/// When a browser sends the cookie with cross-site requests (RFC 6265bis).
///
/// [`SetCookie`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the user follows a link.
    Lax,
    /// Always. Browsers require such a cookie to be `Secure`, so `Secure` is added.
    None,
}

impl SetCookie {
    /// Creates a cookie with this name and value.
    ///
    /// # Errors
    ///
    /// [`CookieError`] if the name is not a token, or if the value has characters other than
    /// visible ASCII without quotes, comma, semicolon and backslash. Quotes around the whole value
    /// are allowed. Encode other values, for example in base64.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, CookieError> {
        let (name, value) = (name.into(), value.into());
        if !is_token(&name) {
            return Err(CookieError::new("name", &name));
        }
        let bytes = value.as_bytes();
        let inner = match bytes {
            [b'"', inner @ .., b'"'] => inner,
            _ => bytes,
        };
        if !inner.iter().copied().all(is_cookie_octet) {
            return Err(CookieError::new("value", &value));
        }
        Ok(Self {
            name,
            value,
            path: None,
            domain: None,
            expires: None,
            max_age: None,
            secure: false,
            http_only: false,
            same_site: None,
        })
    }

    /// Sets `Path`: the browser sends the cookie only to this path and below. Default: the
    /// directory of the request.
    ///
    /// # Errors
    ///
    /// [`CookieError`] if it does not begin with a slash (browsers would ignore it), or has a
    /// semicolon, a control character or a character outside ASCII.
    pub fn path(mut self, path: impl Into<String>) -> Result<Self, CookieError> {
        let path = path.into();
        if !path.starts_with('/') || !path.bytes().all(is_attribute_octet) {
            return Err(CookieError::new("Path", &path));
        }
        self.path = Some(path);
        Ok(self)
    }

    /// Sets `Domain`: the browser sends the cookie to this host and its subdomains. Default: only
    /// the host of the request.
    ///
    /// # Errors
    ///
    /// [`CookieError`] if it is not a host name of letters, digits, hyphens and dots.
    pub fn domain(mut self, domain: impl Into<String>) -> Result<Self, CookieError> {
        let domain = domain.into();
        // Browsers ignore a leading dot, which older practice asked for.
        let labels = domain.strip_prefix('.').unwrap_or(&domain);
        let valid = labels.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        if !valid {
            return Err(CookieError::new("Domain", &domain));
        }
        self.domain = Some(domain);
        Ok(self)
    }

    /// Sets `Expires`, the time when the browser deletes the cookie, rounded down to seconds.
    ///
    /// # Errors
    ///
    /// [`CookieError`] for times before 1970 or after the year 9999.
    pub fn expires(mut self, at: SystemTime) -> Result<Self, CookieError> {
        let since = at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        match since.and_then(format_date) {
            Some(date) => self.expires = Some(date),
            None => return Err(CookieError::new("Expires", &format!("{at:?}"))),
        }
        Ok(self)
    }

    /// Sets `Expires` from a formatted date: `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///
    /// # Errors
    ///
    /// [`CookieError`] if it is empty, or has a semicolon, a control character or a character
    /// outside ASCII.
    pub fn expires_formatted(mut self, date: impl Into<String>) -> Result<Self, CookieError> {
        let date = date.into();
        if date.is_empty() || !date.bytes().all(is_attribute_octet) {
            return Err(CookieError::new("Expires", &date));
        }
        self.expires = Some(date);
        Ok(self)
    }

    /// Sets `Max-Age`, rounded down to seconds: how long the browser keeps the cookie. Takes
    /// precedence over `Expires`. Zero deletes the cookie at once.
    #[doc(alias = "maxage")]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets `Secure`: the browser sends the cookie only over TLS. Default: false.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets `HttpOnly`: scripts cannot read the cookie. Default: false.
    #[doc(alias = "httponly")]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets `SameSite`. Default: not sent, which browsers treat as [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = Some(same_site);
        self
    }

    /// Returns the value of the `Set-Cookie` header.
    pub fn to_header_value(&self) -> HeaderValue {
        // Every part was checked.
        visible_value(&self.to_string())
    }
}

impl fmt::Display for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)?;
        if let Some(path) = &self.path {
            write!(f, "; Path={path}")?;
        }
        if let Some(domain) = &self.domain {
            write!(f, "; Domain={domain}")?;
        }
        if let Some(expires) = &self.expires {
            write!(f, "; Expires={expires}")?;
        }
        if let Some(age) = self.max_age {
            write!(f, "; Max-Age={}", age.as_secs())?;
        }
        if self.secure || self.same_site == Some(SameSite::None) {
            f.write_str("; Secure")?;
        }
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        match self.same_site {
            Some(same_site) => write!(f, "; SameSite={same_site:?}"),
            None => Ok(()),
        }
    }
}

/// `cookie-octet` of RFC 6265, section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// `av-octet`: "any CHAR except CTLs or ';'".
fn is_attribute_octet(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b';'
}

/// Formats a time in seconds after 1970 as a date of RFC 7231, section 7.1.1.1. `None` after the
/// year 9999.
fn format_date(seconds: u64) -> Option<String> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years start on the first of March, which makes the leap day the last of a year. 719,468 days
    // lie between 1 March of the year 0 and 1970. An era is 400 years, or 146,097 days.
    let shifted = days.checked_add(719_468)?;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12; // 0 is January
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let weekday = DAYS.get(usize::try_from(days % 7).ok()?)?;
    let month = MONTHS.get(usize::try_from(month).ok()?)?;
    (year <= 9999).then(|| {
        format!(
            "{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT",
            second / 3_600,
            second / 60 % 60,
            second % 60,
        )
    })
}

/// The error for a part of a [`SetCookie`] that RFC 6265 does not allow.
///
/// ```
/// use towline_proto::handshake::SetCookie;
///
/// assert!(SetCookie::new("session", "with; a semicolon").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieError {
    part: &'static str,
    value: String,
}

impl CookieError {
    fn new(part: &'static str, value: &str) -> Self {
        Self { part, value: excerpt(value) }
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be the {} of a cookie", self.value, self.part)
    }
}

impl std::error::Error for CookieError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn parse(lines: &[&[u8]]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        parse_cookies(&headers).into_iter().map(|cookie| (cookie.name, cookie.value)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn a_request_s_cookies_are_read_in_order() {
        assert_eq!(
            parse(&[b"a=1; b=\"2\";c=;d=x=y; a = 3 ", b"e={\"json\":1}"]),
            pairs(&[
                ("a", "1"),
                ("b", "2"),
                ("c", ""),
                ("d", "x=y"),
                ("a", "3"),
                ("e", "{\"json\":1}")
            ]),
        );
        assert_eq!(parse(&["ü=é".as_bytes()]), pairs(&[("ü", "é")]));
    }

    #[test]
    fn what_is_no_cookie_is_skipped() {
        assert_eq!(parse(&[b"; ;flag; =1; a=\xff; b=\tx\ty; ok=1"]), pairs(&[("ok", "1")]));
        assert_eq!(parse(&[b"a=\""]), pairs(&[("a", "\"")]));
        assert_eq!(parse(&[]), pairs(&[]));
    }

    #[test]
    fn all_attributes_in_their_order() {
        let cookie = SetCookie::new("sid", "\"x\"")
            .unwrap()
            .path("/chat")
            .unwrap()
            .domain("example.com")
            .unwrap()
            .expires(UNIX_EPOCH + Duration::from_secs(784_111_777))
            .unwrap()
            .max_age(Duration::from_millis(90_500))
            .http_only(true)
            .same_site(SameSite::None);
        assert_eq!(
            cookie.to_header_value(),
            "sid=\"x\"; Path=/chat; Domain=example.com; Expires=Sun, 06 Nov 1994 08:49:37 GMT; \
             Max-Age=90; Secure; HttpOnly; SameSite=None",
        );
    }

    #[test]
    fn nothing_can_be_injected() {
        for bad in ["", "a b", "a=b", "a;b", "a\r\nb", "é", "a\0"] {
            assert!(SetCookie::new(bad, "v").is_err(), "name {bad:?}");
        }
        for bad in ["a b", "a;b", "a,b", "a\\b", "a\"b", "\"", "a\r\nX: y", "é", "a\x7f"] {
            assert!(SetCookie::new("n", bad).is_err(), "value {bad:?}");
        }
        let cookie = || SetCookie::new("n", "").unwrap();
        for bad in ["", "chat", "/;Secure", "/\r\nX: y", "/é"] {
            assert!(cookie().path(bad).is_err(), "path {bad:?}");
        }
        for bad in ["", ".", "a..b", "a;b", "a b", "a:80", "a.", "é.com"] {
            assert!(cookie().domain(bad).is_err(), "domain {bad:?}");
        }
        for bad in ["", "never; Secure", "\r\n"] {
            assert!(cookie().expires_formatted(bad).is_err(), "expires {bad:?}");
        }
        assert!(cookie().expires(UNIX_EPOCH - Duration::from_secs(1)).is_err());
    }

    #[test]
    fn an_error_names_the_part_and_the_value() {
        assert_eq!(
            SetCookie::new("n", "a;b").unwrap_err().to_string(),
            "\"a;b\" cannot be the value of a cookie"
        );
    }

    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(format_date(seconds).as_deref(), Some(date));
        }
        assert_eq!(format_date(253_402_300_800), None);
        assert_eq!(format_date(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in r#"[a-c=;," \\]{0,40}|\PC{0,40}"#) {
            parse(&[line.as_bytes()]);
        }

        #[test]
        fn what_can_be_set_is_read_back(name in "\\PC{1,4}", value in "\\PC{0,8}") {
            if let Ok(cookie) = SetCookie::new(name.clone(), value.clone()) {
                let value = value.trim_matches('"').to_owned();
                prop_assert_eq!(parse(&[cookie.to_string().as_bytes()]), [(name, value)]);
            }
        }
    }
}
