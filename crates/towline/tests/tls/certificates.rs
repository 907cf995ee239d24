//! Certificates made for the test, and nobody else.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use towline::{Tls, TlsServer};

/// A root that signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, as PEM.
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server's certificate, for these names.
    pub(crate) fn server(&self, names: &[&str]) -> Signed {
        self.sign(server_params(names))
    }

    /// A client's.
    pub(crate) fn client(&self, name: &str) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// This authority's own certificate, in place of one of a server's.
    pub(crate) fn as_server(&self) -> Signed {
        Signed { chain: self.pem.clone(), key: self.issuer.key().serialize_pem() }
    }

    pub(crate) fn sign(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Signed { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this and nobody else.
    pub(crate) fn trusted(&self) -> Tls {
        Tls::new().only_added_roots().add_roots_pem(self.pem.as_bytes()).unwrap()
    }
}

impl Signed {
    /// A certificate that its own key has signed.
    pub(crate) fn by_itself(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = server_params(names).self_signed(&key).unwrap();
        Self { chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn server(&self) -> TlsServer {
        TlsServer::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

pub(crate) fn server_params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}
