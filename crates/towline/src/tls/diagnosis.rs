//! Explains what is wrong with a PEM text, and what to do about it.

use rustls::pki_types::pem::Error;

/// The longest label that is recognised.
const LABEL_MAX: usize = 40;

/// Explains why the text has no readable certificate.
pub(crate) fn of_certificates(text: &[u8], error: &Error) -> String {
    if let Some(why) = no_pem(text, "certificate", "openssl x509 -inform DER") {
        return why;
    }
    let labels = labels(text);
    if let Some(label) = labels.iter().find(|label| is_cut(text, label)) {
        return cut("certificate", label);
    }
    if !matches!(error, Error::NoItemsFound) {
        return format!("the certificate is no valid PEM: {}", reason(error));
    }
    if labels.iter().any(|label| label.ends_with("PRIVATE KEY")) {
        return "there is a private key and no certificate in the PEM text of the certificate: are \
                the two the wrong way round?"
            .to_owned();
    }
    let found = found(&labels);
    let advice = match labels.first().map(String::as_str) {
        Some("PKCS7") => ": `openssl pkcs7 -in FILE -print_certs -out chain.pem` takes them out",
        Some("TRUSTED CERTIFICATE") => ": `openssl x509 -in FILE -out chain.pem` makes it one",
        Some("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") => {
            ": have an authority sign it, and use what that answers"
        }
        _ => "",
    };
    format!("there is no certificate in the PEM text of the certificate{found}{advice}")
}

/// Explains why the text has no readable private key.
pub(crate) fn of_key(text: &[u8], error: &Error) -> String {
    if let Some(why) = no_pem(text, "private key", "openssl pkey -inform DER") {
        return why;
    }
    let labels = labels(text);
    let is_encrypted = labels.iter().any(|label| label == "ENCRYPTED PRIVATE KEY")
        || has(text, b"Proc-Type: 4,ENCRYPTED");
    if is_encrypted {
        return "the private key is encrypted, which is not supported: \
                `openssl pkey -in FILE -out key.pem` decrypts it"
            .to_owned();
    }
    if let Some(label) = labels.iter().find(|label| is_cut(text, label)) {
        return cut("private key", label);
    }
    if !matches!(error, Error::NoItemsFound) {
        return format!("the private key is no valid PEM: {}", reason(error));
    }
    if labels.iter().any(|label| label == "CERTIFICATE") {
        return "there is a certificate and no private key in the PEM text of the private key (PKCS \
                #8, PKCS #1 or SEC 1): does it have a file of its own, or are the two the wrong way \
                round?"
            .to_owned();
    }
    let found = found(&labels);
    let advice = match labels.first().map(String::as_str) {
        Some("OPENSSH PRIVATE KEY") => ": `ssh-keygen -p -m PEM -f FILE` writes it as PEM",
        _ => "",
    };
    format!(
        "there is no private key in the PEM text of the private key (PKCS #8, PKCS #1 or SEC \
         1){found}{advice}"
    )
}

/// Describes the parser's error. Its own words quote the text, which may be a private key.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } | Error::IllegalSectionStart { .. } => {
            "`-----BEGIN …-----` and `-----END …-----` have to be lines of their own; were the line \
             breaks lost?"
        }
        Error::Base64Decode(_) => "what is between BEGIN and END is not base64",
        Error::SectionTooLarge => "a section is too large",
        _ => "it can't be parsed",
    }
}

/// Explains what the text is, if it is not PEM.
fn no_pem(text: &[u8], what: &str, from_der: &str) -> Option<String> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Some(format!("there is no {what}: the PEM text is empty"));
    }
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Some(format!("the PEM text of the {what} is UTF-16: write it as UTF-8"));
    }
    if has(text, b"-----BEGIN ") && !has(text, b"-----BEGIN PKCS12-----") {
        return None;
    }
    let content = match text {
        // A sequence, with its length in one byte or in up to four (X.690, section 8.1.3).
        [0x30, length @ 0..0x80, rest @ ..] if rest.len() >= usize::from(*length) => rest,
        [0x30, 0x81, _, rest @ ..]
        | [0x30, 0x82, _, _, rest @ ..]
        | [0x30, 0x83, _, _, _, rest @ ..] => rest,
        [0x30, 0x80, rest @ ..] => rest,
        _ if has(text, b"-----BEGIN PKCS12-----") => &[2, 1, 3],
        _ => return None,
    };
    // Its version is 3 (RFC 7292, section 4); the one of a key is 0 or 1.
    if content.starts_with(&[2, 1, 3]) {
        return Some(format!(
            "the {what} is PKCS #12 (.p12, .pfx) and not PEM: `openssl pkcs12 -in FILE -nokeys -out \
             chain.pem` and `openssl pkcs12 -in FILE -nocerts -nodes -out key.pem` take its parts out"
        ));
    }
    let is_key = content.starts_with(&[2, 1]);
    if is_key == (what == "certificate") {
        let other = if is_key { "a private key" } else { "a certificate" };
        return Some(format!(
            "the {what} is DER and not PEM, and looks like {other}: are the two the wrong way round?"
        ));
    }
    let out = if is_key { "key.pem" } else { "chain.pem" };
    Some(format!("the {what} is DER and not PEM: `{from_der} -in FILE -out {out}` makes it that"))
}

/// The labels of the text's BEGIN lines, in order: for example `CERTIFICATE`.
fn labels(text: &[u8]) -> Vec<String> {
    let lines = text.split(|byte| matches!(byte, b'\r' | b'\n'));
    let labels = lines.filter_map(|line| {
        let label = line.trim_ascii().strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
        let is_label = label.len() <= LABEL_MAX
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ');
        is_label.then(|| String::from_utf8_lossy(label).into_owned())
    });
    labels.collect()
}

/// Whether the text has more BEGIN than END lines with this label.
fn is_cut(text: &[u8], label: &str) -> bool {
    let count =
        |line: &str| text.windows(line.len()).filter(|part| *part == line.as_bytes()).count();
    count(&format!("-----BEGIN {label}-----")) > count(&format!("-----END {label}-----"))
}

fn cut(what: &str, label: &str) -> String {
    format!(
        "the PEM text of the {what} is cut off: a line -----BEGIN {label}----- has no -----END \
         {label}----- behind it; copy it anew, whole"
    )
}

fn found(labels: &[String]) -> String {
    match labels.first() {
        Some(label) => format!("; there is a {label}"),
        None => String::new(),
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|found| found == part)
}
