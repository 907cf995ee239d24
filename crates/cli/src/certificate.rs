//! A certificate, described for people.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;
use x509_parser::prelude::{ASN1Time, FromDer as _, GeneralName, X509Certificate};

use crate::say::on_one_line;

/// A certificate, described. All characters are safe to print on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The subject and the issuer, such as `CN=example.com, O=Example`.
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// The names and addresses it is valid for.
    pub(crate) names: Vec<String>,
    /// Such as `2026-03-01T12:00:00Z`.
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    /// Whether `not_after` is in the past.
    pub(crate) is_expired: bool,
    /// How many whole days it is still valid; negative once it has expired.
    pub(crate) days_left: i64,
    /// The SHA-256 of the whole certificate: `AB:CD:…`, as browsers and OpenSSL show it.
    pub(crate) fingerprint: String,
}

impl Certificate {
    /// Describes this certificate, if it can be parsed.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
        Some(Self {
            subject: on_one_line(&certificate.subject().to_string()),
            issuer: on_one_line(&certificate.issuer().to_string()),
            names: names.filter_map(name).collect(),
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
            is_expired: validity.not_after < ASN1Time::now(),
            days_left: (validity.not_after.timestamp() - ASN1Time::now().timestamp())
                .div_euclid(86_400),
            fingerprint: fingerprint(der),
        })
    }

    /// Describes the first certificate of a PEM text.
    pub(crate) fn first_of(pem: &[u8]) -> Option<Self> {
        let mut found = Pem::iter_from_buffer(pem).filter_map(Result::ok);
        Self::of(&found.find(|pem| pem.label == "CERTIFICATE")?.contents)
    }

    /// The names it is valid for, or else its subject.
    pub(crate) fn whose(&self) -> String {
        if self.names.is_empty() { self.subject.clone() } else { self.names.join(", ") }
    }
}

/// One line: its names, its expiry, its fingerprint.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { not_after, fingerprint, .. } = self;
        let until = if self.is_expired { "expired at" } else { "valid to" };
        write!(f, "{}, {until} {not_after}, SHA-256 fingerprint {fingerprint}", self.whose())
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some(on_one_line(name))
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn time(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::with_capacity(95);
    for byte in Sha256::digest(der) {
        let colon = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> rcgen::Certificate {
        let names = ["a.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 2);
        params.not_after = date_time_ymd(2021, 3, 4);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn it_is_for_names_and_addresses_and_for_a_time() {
        let made = made(|params| params.distinguished_name.push(DnType::CommonName, "a"));
        let certificate = Certificate::of(made.der()).unwrap();
        assert_eq!(certificate.subject, "CN=a");
        assert_eq!(certificate.issuer, "CN=a");
        assert_eq!(certificate.whose(), "a.example, 127.0.0.1, ::1");
        assert_eq!(certificate.not_before, "2020-01-02T00:00:00Z");
        assert_eq!(certificate.not_after, "2021-03-04T00:00:00Z");
        assert!(certificate.to_string().contains("expired at 2021-03-04"), "{certificate}");
        assert_eq!(certificate.fingerprint.len(), 95);
        assert_eq!(Certificate::first_of(made.pem().as_bytes()), Some(certificate));
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        let evil = "\u{1b}[2J";
        let made = made(|params| params.distinguished_name.push(DnType::CommonName, evil));
        let certificate = Certificate::of(made.der()).unwrap();
        assert!(!certificate.subject.contains('\u{1b}'), "{certificate:?}");
    }

    #[test]
    fn what_is_none_is_none() {
        assert_eq!(Certificate::of(b"ship ahoy"), None);
        assert_eq!(Certificate::first_of(b"ship ahoy"), None);
    }
}
