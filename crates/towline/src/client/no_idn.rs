//! Names of hosts are ASCII here.

pub(crate) fn to_ascii(_: &str) -> Result<String, &'static str> {
    Err("is not ASCII: enable the feature `idn` of towline, or write its form in ASCII, \"xn--…\"")
}
