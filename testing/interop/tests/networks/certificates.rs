//! Certificates made by OpenSSL for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tempfile::TempDir;
use towline::{Tls, TlsServer};

use crate::program::run;

static ROOTS: AtomicU32 = AtomicU32::new(0);

/// A root, and the certificates that it has signed.
pub(crate) struct Authority {
    directory: TempDir,
}

/// The files of a certificate and of its key.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let this = Self { directory };
        // Roots with the same name would be confused.
        let number = ROOTS.fetch_add(1, Relaxed);
        let mut arguments = words("req -x509 -sha256 -days 30");
        arguments.extend(["-subj".into(), format!("/CN=root {number}")]);
        arguments.extend(words("-addext keyUsage=critical,keyCertSign"));
        arguments.extend(this.new_key("root"));
        run("openssl", arguments);
        this
    }

    /// Returns the root certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.file("root.pem")
    }

    /// Returns a certificate for loopback, in files with this name.
    pub(crate) fn server(&self, name: &str) -> Signed {
        self.sign(name, "DNS:localhost,IP:127.0.0.1", 30)
    }

    /// Returns one that is valid for this many days. A negative number makes an expired one.
    pub(crate) fn sign(&self, name: &str, alternative_names: &str, days: i32) -> Signed {
        let (signed, request) = (self.signed(name), self.file("request"));
        let mut arguments = words("req -new -sha256");
        arguments.extend(["-subj".into(), format!("/CN={name}")]);
        arguments.extend(["-addext".into(), format!("subjectAltName={alternative_names}")]);
        arguments.extend(self.new_key(name));
        // The last `-out` counts.
        arguments.extend(["-out".into(), shown(&request)]);
        run("openssl", arguments);
        let mut arguments = words("x509 -req -sha256 -copy_extensions copy");
        for (option, file) in
            [("-CA", self.root()), ("-CAkey", self.file("root.key")), ("-in", request)]
        {
            arguments.extend([option.into(), shown(&file)]);
        }
        arguments.extend(["-out".into(), shown(&signed.chain), "-days".into(), days.to_string()]);
        run("openssl", arguments);
        signed
    }

    /// Returns a self-signed certificate for loopback.
    pub(crate) fn by_itself(&self, name: &str) -> Signed {
        let mut arguments = words("req -x509 -sha256 -days 30 -subj /CN=itself");
        arguments.extend(words("-addext subjectAltName=DNS:localhost,IP:127.0.0.1"));
        arguments.extend(self.new_key(name));
        run("openssl", arguments);
        self.signed(name)
    }

    /// Returns a client configuration that trusts only this root.
    pub(crate) fn trusted(&self) -> Tls {
        let root = fs::read(self.root()).unwrap();
        Tls::new().only_added_roots().add_roots_pem(&root).unwrap()
    }

    /// Returns the files with this name.
    pub(crate) fn signed(&self, name: &str) -> Signed {
        Signed { chain: self.file(&format!("{name}.pem")), key: self.file(&format!("{name}.key")) }
    }

    fn new_key(&self, name: &str) -> Vec<String> {
        let signed = self.signed(name);
        let mut arguments = words("-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256");
        arguments.extend(["-keyout".into(), shown(&signed.key)]);
        arguments.extend(["-out".into(), shown(&signed.chain)]);
        arguments
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Signed {
    pub(crate) fn server(&self) -> TlsServer {
        TlsServer::from_pem_files(&self.chain, &self.key).unwrap()
    }

    /// Returns `tls` with this client certificate.
    pub(crate) fn shown_by(&self, tls: Tls) -> Tls {
        tls.identity_pem(&fs::read(&self.chain).unwrap(), &fs::read(&self.key).unwrap()).unwrap()
    }

    /// Replaces the files of another certificate by these.
    pub(crate) fn replaces(&self, other: &Self) {
        fs::copy(&self.key, &other.key).unwrap();
        fs::copy(&self.chain, &other.chain).unwrap();
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

pub(crate) fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
