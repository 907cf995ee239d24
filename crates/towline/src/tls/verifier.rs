//! Verifiers of server certificates.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

/// The error for a self-signed certificate that is not trusted.
#[derive(Debug)]
pub(crate) struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("self-signed, and not trusted here")
    }
}

impl std::error::Error for SelfSigned {}

/// The error for a certificate authority's certificate, which a server must not use as its own.
#[derive(Debug)]
pub(crate) struct Authoritys;

impl fmt::Display for Authoritys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a certificate authority's (CA:TRUE), which a server can't use, even if it is trusted: make \
             one for the server",
        )
    }
}

impl std::error::Error for Authoritys {}

/// Wraps a verifier, and distinguishes self-signed certificates from those of an unknown root.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) verifier: Arc<dyn ServerCertVerifier>,
    /// The roots that the program has added.
    pub(crate) added: Vec<CertificateDer<'static>>,
}

impl Telling {
    /// Replaces the error by a more precise one, if there is one.
    fn tell(&self, certificate: &CertificateDer<'_>, error: Error) -> Error {
        use CertificateError::{
            BadSignature, Other, UnknownIssuer, UnsupportedSignatureAlgorithmForPublicKeyContext,
        };
        let better: Arc<dyn std::error::Error + Send + Sync> = match &error {
            Error::InvalidCertificate(Other(_)) if self.added.contains(certificate) => {
                Arc::new(Authoritys)
            }
            // webpki's name for it.
            Error::InvalidCertificate(Other(other))
                if other.to_string() == "CaUsedAsEndEntity" && !is_self_signed(certificate) =>
            {
                Arc::new(Authoritys)
            }
            // `BadSignature`: the certificate has the name of a trusted root, but another key.
            Error::InvalidCertificate(
                UnknownIssuer
                | BadSignature
                | UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
                | Other(_),
            ) if is_self_signed(certificate) => Arc::new(SelfSigned),
            _ => return error,
        };
        Other(OtherError(better)).into()
    }
}

/// Accepts every certificate.
#[derive(Debug)]
pub(crate) struct Anything(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for Telling {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        result.map_err(|error| self.tell(end_entity, error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // The peer still has to prove that it has the certificate's key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate names itself as the issuer. Used only for the text of errors, not to
/// accept or refuse certificates.
fn is_self_signed(certificate: &[u8]) -> bool {
    // Certificate ::= SEQUENCE { TBSCertificate ::= SEQUENCE { [0] version, serialNumber,
    // signature, issuer, validity, subject, … } … } (RFC 5280, section 4.1)
    let fields = || {
        let mut fields = element(element(certificate)?.content)?.content;
        let mut next = || {
            let field = element(fields)?;
            fields = field.rest;
            Some(field)
        };
        let first = next()?;
        if first.tag == 0xa0 {
            next()?;
        }
        let (_signature, issuer, _validity, subject) = (next()?, next()?, next()?, next()?);
        Some(issuer.content == subject.content)
    };
    fields().unwrap_or(false)
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

/// Parses the first element of DER.
fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&[tag, len], der) = der.split_first_chunk()?;
    let (len, der) = match len {
        0..=0x7f => (usize::from(len), der),
        0x81..=0x83 => {
            let (bytes, der) = der.split_at_checked(usize::from(len & 0x7f))?;
            (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), der)
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(len)?;
    Some(Element { tag, content, rest })
}
