//! TLS of the server: its certificate, and the lines about it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use towline::{ClientAuth, TlsServer};
use x509_parser::time::ASN1Time;

use crate::certificate::Certificate;
use crate::exit::{Exit, Failure};
use crate::network::{of_file, read};
use crate::say;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The validity of a certificate made for a run: the longest that browsers accept.
const LIFE: Duration = Duration::from_secs(397 * DAY.as_secs());

/// The TLS options of the server.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Speak TLS with the certificate in this PEM file, followed by its chain. SIGHUP reloads the
    /// files
    #[arg(long, value_name = "FILE", group = "identity")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, as PEM [default: in the same file]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Speak TLS with a certificate made for this run, valid for localhost and the addresses
    /// listened on. For development
    #[arg(long, group = "identity")]
    tls_self_signed: bool,

    /// Write the certificate of --tls-self-signed to this file, as PEM, for `towline connect --ca`
    /// and other clients. Its key is not written
    #[arg(long, value_name = "FILE", requires = "tls_self_signed")]
    tls_self_signed_out: Option<PathBuf>,

    /// Refuse clients without a certificate signed by one in this PEM file
    #[arg(long, value_name = "FILE", requires = "identity")]
    tls_client_ca: Option<PathBuf>,
}

/// The TLS setup.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) server: TlsServer,
    /// A description of the certificate.
    certificate: Option<Certificate>,
    /// The chain's file, which is reloaded together with the key's.
    file: Option<PathBuf>,
    /// The file that a self-signed certificate was written to.
    saved: Option<PathBuf>,
}

impl TlsOptions {
    /// The TLS setup of a server on these addresses, or `None` if it does not speak TLS.
    pub(crate) fn identity(&self, listen: &[String]) -> Result<Option<Identity>, Failure> {
        let mut identity = match &self.tls_cert {
            Some(cert) => {
                let key = self.tls_key.as_ref().unwrap_or(cert);
                let server = TlsServer::from_pem_files(cert, key)?;
                let file = Some(cert.clone());
                Identity { server, certificate: described(cert), file, saved: None }
            }
            None if self.tls_self_signed => {
                let (identity, pem) = self_signed(listen)?;
                if let Some(path) = &self.tls_self_signed_out {
                    write(path, &pem)?;
                }
                Identity { saved: self.tls_self_signed_out.clone(), ..identity }
            }
            None => return Ok(None),
        };
        if let Some(path) = &self.tls_client_ca {
            let roots = read("--tls-client-ca", path)?;
            let server = identity.server.client_roots_pem(&roots, ClientAuth::Required);
            identity.server = server.map_err(|error| of_file("--tls-client-ca", path, error))?;
        }
        Ok(Some(identity))
    }
}

impl Identity {
    /// Prints what the certificate is for, and how to connect to this address.
    pub(crate) fn announce(&self, reachable: SocketAddr) {
        let kind = if self.file.is_some() { "certificate" } else { "self-signed certificate" };
        if let Some(certificate) = &self.certificate {
            say::out(format_args!("{kind} for {certificate}"));
        }
        if self.file.is_none() {
            let trust = match &self.saved {
                Some(path) => format!("--ca {}", path.display()),
                None => "--insecure".to_owned(),
            };
            say::out(format_args!("connect with: towline connect {trust} wss://{reachable}/"));
        }
    }
}

/// Reloads the files on SIGHUP, if there are files. Otherwise SIGHUP is ignored, so that it does
/// not end the process.
pub(crate) fn reload_on_hangup(identity: Option<&Identity>, verbose: u8) -> Result<(), Failure> {
    let files =
        identity.and_then(|identity| Some((identity.server.clone(), identity.file.clone()?)));
    let mut hangups = Hangups::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    tokio::spawn(async move {
        while hangups.next().await.is_some() {
            match &files {
                Some((server, file)) => reload(server, file),
                None if verbose > 0 => {
                    say::note("SIGHUP ignored: without --tls-cert there is nothing to reload");
                }
                None => {}
            }
        }
    });
    Ok(())
}

fn reload(server: &TlsServer, file: &Path) {
    match server.reload() {
        Ok(()) => {
            let certificate = described(file).map(|certificate| format!(" for {certificate}"));
            say::note(format_args!("certificate reloaded{}", certificate.unwrap_or_default()));
        }
        Err(error) => {
            let failure = Failure::from(error);
            say::note(format_args!("certificate not reloaded, the old one stays: {failure}"));
        }
    }
}

/// Describes the certificate in a file. A pipe can only be read once, and has been.
fn described(file: &Path) -> Option<Certificate> {
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    Certificate::first_of(&std::fs::read(file).ok()?)
}

/// Makes a certificate for this run, valid for every name that a client on this machine may use.
/// Returns it as PEM as well.
fn self_signed(listen: &[String]) -> Result<(Identity, String), Failure> {
    let unable = |error| Failure::new(Exit::Usage, format!("no certificate can be made: {error}"));
    let mut params = CertificateParams::new(names(listen)).map_err(unable)?;
    let key = KeyPair::generate().map_err(unable)?;
    params.distinguished_name.push(DnType::CommonName, "towline serve --tls-self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A server certificate (RFC 5280, section 4.2.1.9). Clients would refuse a CA certificate.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let now = ASN1Time::now().to_datetime();
    // Tolerates a clock that is a little slow.
    (params.not_before, params.not_after) = (now - DAY, now - DAY + LIFE);
    let made = params.self_signed(&key).map_err(unable)?;
    let server = TlsServer::from_der([made.der().to_vec()], key.serialize_der())?;
    let certificate = Certificate::of(made.der());
    Ok((Identity { server, certificate, file: None, saved: None }, made.pem()))
}

fn write(path: &Path, pem: &str) -> Result<(), Failure> {
    std::fs::write(path, pem).map_err(|error| {
        let path = path.display();
        let message = format!("--tls-self-signed-out: can't write {path}: {error}");
        Failure::new(Exit::Usage, message)
    })
}

fn names(listen: &[String]) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for address in listen {
        let host = address.rsplit_once(':').map_or(&**address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_any = host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        if !is_any && !names.contains(&host) {
            names.push(host);
        }
    }
    names
}

#[cfg(unix)]
struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).map(Self)
    }

    async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }
}

/// SIGHUP exists on Unix only.
#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Option<()> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_all_that_a_client_on_this_machine_may_say() {
        let listen =
            ["0.0.0.0:1", "[::]:1", "localhost:1", "[::1]:1", "Ship.example:1", "[fd00::1]:1"];
        let names = names(&listen.map(str::to_owned));
        assert_eq!(names, ["localhost", "127.0.0.1", "::1", "ship.example", "fd00::1"]);
    }

    #[test]
    fn it_is_made_and_described() {
        let made = self_signed(&["127.0.0.1:9001".to_owned()]).unwrap().0;
        let certificate = made.certificate.unwrap();
        assert_eq!(certificate.whose(), "localhost, 127.0.0.1, ::1");
        assert!(!certificate.is_expired);
    }
}
