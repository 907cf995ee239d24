//! Host names that are not ASCII (UTS 46, as the URL Standard uses it).

use idna::AsciiDenyList;

/// The name in ASCII: `xn--…`. The error is the end of a sentence about the host.
pub(crate) fn to_ascii(name: &str) -> Result<String, &'static str> {
    let ascii = idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::URL);
    ascii.map(String::from).map_err(|_| "is not a host name: IDNA has no ASCII form for it")
}
