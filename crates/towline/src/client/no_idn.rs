//! IDN is not compiled in: host names must be ASCII.

pub(crate) fn to_ascii(_: &str) -> Result<String, &'static str> {
    Err("is not ASCII: enable the feature `idn` of towline, or write its ASCII form, \"xn--…\"")
}
