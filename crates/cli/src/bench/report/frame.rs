//! The page around a report: one file that loads nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use crate::bench::report::markup::escaped;

const STYLE: &str = include_str!("style.css");

/// Shows values at the pointer; nothing depends on it.
const SCRIPT: &str = include_str!("report.js");

/// The mark of the console.
const MARK: &str = "<svg viewBox=\"0 0 32 32\" aria-hidden=\"true\">\
    <rect width=\"32\" height=\"32\" rx=\"8\" fill=\"#123a56\"/>\
    <g stroke=\"#fff\" stroke-width=\"2.4\"><circle cx=\"16\" cy=\"8\" r=\"2.8\"/>\
    <path style=\"vector-effect:none\" d=\"M16 11v15M11.5 14.5h9M6.5 18.5c.5 5 4.5 7.5 9.5 7.5s9-2.5 9.5-7.5\"/></g>\
    <path style=\"vector-effect:none\" stroke=\"#f0b35e\" stroke-width=\"2.2\" \
    d=\"M18.8 8c5 0 3.2 8-2.8 10s-6 6-2 6.5\"/></svg>";

/// A whole page. Title and subtitle are text; the body is HTML. `times` are those of the columns, for the
/// script; without them there is none.
///
/// The policy allows this script alone, by its hash, and no request at all: should a text of the server
/// ever get in unescaped, it would not run.
pub(crate) fn page(title: &str, subtitle: &str, times: Option<&str>, body: &str) -> String {
    let allowed = match times {
        Some(_) => format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(SCRIPT))),
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"
    );
    let (title, subtitle) = (escaped(title), escaped(subtitle));
    let times = times.map_or_else(String::new, |times| format!(" data-times=\"{times}\""));
    let script = match times.is_empty() {
        true => String::new(),
        false => format!("<script>{SCRIPT}</script>\n"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>{MARK}<div><h1>{title}</h1><p>{subtitle}</p></div></header>\n\
         <main{times}>\n{body}</main>\n{script}</body>\n</html>\n"
    )
}
