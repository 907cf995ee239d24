//! Converts rustls's errors to this crate's: the kind, and what to do about it.

use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use towline_proto::Role;

use crate::error::{Error, ErrorKind};
use crate::tls::verifier::{Authoritys, SelfSigned};

/// The longest reason that is shown, in characters.
const WHY_MAX: usize = 300;

/// Converts the error of a handshake with `whom`.
pub(crate) fn explain(role: Role, whom: &str, error: rustls::Error) -> Error {
    let (kind, mut why) = kind_of(role, &error);
    // A certificate can contain any number of names.
    if let Some((end, _)) = why.char_indices().nth(WHY_MAX) {
        why.replace_range(end.., "…");
    }
    Error::new(kind, format!("TLS with {whom}: {why}")).with_source(error)
}

/// Converts the error of a session to an I/O error, which wraps one of this crate's.
pub(crate) fn explain_io(role: Role, kind: io::ErrorKind, error: &rustls::Error) -> io::Error {
    io::Error::new(kind, explain(role, "the peer", error.clone()))
}

fn kind_of(role: Role, error: &rustls::Error) -> (ErrorKind, String) {
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(alert) => of_alert(role, *alert),
        rustls::Error::NoCertificatesPresented => {
            (ErrorKind::ClientCertificate, "the client sent no certificate".to_owned())
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
        | rustls::Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => {
            (ErrorKind::NotTls, "the peer does not speak TLS".to_owned())
        }
        rustls::Error::PeerIncompatible(why) => (
            ErrorKind::Tls,
            format!("the peer and this end have no TLS parameters in common: {why:?}"),
        ),
        rustls::Error::NoApplicationProtocol => {
            (ErrorKind::NoApplicationProtocol, error.to_string())
        }
        error => (ErrorKind::Tls, error.to_string()),
    }
}

fn of_certificate(error: &CertificateError) -> (ErrorKind, String) {
    let kind = match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => ErrorKind::CertificateExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ErrorKind::CertificateName
        }
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ErrorKind::CertificateUntrusted
        }
        CertificateError::Other(other) if other.0.is::<SelfSigned>() => {
            ErrorKind::CertificateUntrusted
        }
        _ => ErrorKind::CertificateInvalid,
    };
    let why = match error {
        CertificateError::Expired => "the peer's certificate has expired".to_owned(),
        CertificateError::NotValidYet => "the peer's certificate is not valid yet".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let since = time.as_secs().saturating_sub(not_after.as_secs());
            format!("the peer's certificate has expired {} ago", long(since))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let until = not_before.as_secs().saturating_sub(time.as_secs());
            format!(
                "the peer's certificate is not valid yet, but in {} (is this machine's clock right?)",
                long(until)
            )
        }
        CertificateError::NotValidForName => {
            "the peer's certificate is for another name".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => match presented.len() {
            0 => "the peer's certificate is for no name at all".to_owned(),
            count => {
                let more = if count > NAMES { ", and others" } else { "" };
                let names = presented.iter().take(NAMES).map(|name| bare(name));
                let names = names.collect::<Vec<_>>().join(", ");
                format!("the peer's certificate is for another name: {names}{more}")
            }
        },
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the peer's certificate is not signed by the root of that name which is trusted here"
                .to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the peer's certificate is signed by an unknown root, which is not trusted here"
                .to_owned()
        }
        CertificateError::Other(other)
            if other.0.is::<SelfSigned>() || other.0.is::<Authoritys>() =>
        {
            format!("the peer's certificate is {}", other.0)
        }
        error => format!("the peer's certificate is not valid: {error}"),
    };
    (kind, why)
}

/// How many names of a certificate are shown.
const NAMES: usize = 4;

/// Strips what rustls puts around a name: `DnsName("example.com")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// Formats a number of seconds.
fn long(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn of_alert(role: Role, alert: AlertDescription) -> (ErrorKind, String) {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => (
            ErrorKind::ClientCertificate,
            "the peer requires a certificate of this end (certificate_required)".to_owned(),
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::NoCertificate => (
            match role {
                Role::Client => ErrorKind::ClientCertificate,
                Role::Server => ErrorKind::Tls,
            },
            format!("the peer does not accept this end's certificate ({alert:?})"),
        ),
        Alert::NoApplicationProtocol => (
            ErrorKind::NoApplicationProtocol,
            "the peer has no protocol in common with this end (ALPN http/1.1)".to_owned(),
        ),
        Alert::UnrecognisedName => {
            (ErrorKind::CertificateName, "the peer does not know the name asked for".to_owned())
        }
        alert => (ErrorKind::Tls, format!("the peer sent a fatal alert ({alert:?})")),
    }
}
