//! What lies between client and server, for every command that connects: TLS, proxies, redirects.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use http::{HeaderName, HeaderValue};
use towline::{Client, Config, Error, HttpVersion, Proxy, Tls};

use crate::exit::{Exit, Failure};

/// The options for TLS, proxies and redirects.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// Trust the certificates in this PEM file, in addition to those the system trusts. Repeat it
    /// for more
    #[arg(long, value_name = "FILE", alias = "cacert")]
    ca: Vec<PathBuf>,

    /// Present the certificate in this PEM file, followed by its chain, if the server asks for one
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The private key of --cert, as PEM [default: in the same file]
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Accept any certificate. Anyone in between can then read and change everything
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Use this name in place of the URL's host for SNI, and to verify the certificate
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,

    /// Connect through this proxy: http, https, socks5 or socks5h (which looks names up itself),
    /// such as socks5h://user:password@proxy:1080 [default: from the environment: wss_proxy,
    /// all_proxy, https_proxy and others, except for the hosts in no_proxy]
    #[arg(short = 'x', long, value_name = "URL", conflicts_with = "no_proxy")]
    pub(crate) proxy: Option<String>,

    /// Connect without a proxy, even if the environment names one
    #[arg(long)]
    pub(crate) no_proxy: bool,

    /// The most redirects to follow
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub(crate) follow_redirects: u8,
}

/// What a client asks for when it connects, from the options of a command.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) protocols: Vec<&'a str>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) http_version: HttpVersion,
    pub(crate) timeout: Duration,
}

impl Network {
    /// The client that connects so, with the TLS that [`Self::tls`] has returned.
    pub(crate) fn client(
        &self,
        tls: Option<Tls>,
        config: Config,
        opening: Opening<'_>,
    ) -> Result<Client, Failure> {
        let mut client = Client::new()
            .config(config)
            .connect_timeout(opening.timeout)
            .http_version(opening.http_version)
            .protocols(opening.protocols);
        if let Some(origin) = opening.origin {
            client = client.origin(origin);
        }
        for (name, value) in opening.headers {
            client = client.header(name, value);
        }
        if let Some(tls) = tls {
            client = client.tls(tls);
        }
        if let Some(url) = &self.proxy {
            // Not parsed by clap: its errors show the value, which may contain a password.
            client = client.proxy(Proxy::new(url).map_err(|error| of_option("--proxy", error))?);
        }
        if self.no_proxy {
            client = client.proxy(Proxy::none());
        }
        Ok(client.follow_redirects(self.follow_redirects))
    }

    /// The TLS options, if they differ from the default. Their files are read, which a pipe allows only once.
    pub(crate) fn tls(&self) -> Result<Option<Tls>, Failure> {
        let is_default = self.ca.is_empty()
            && self.cert.is_none()
            && self.server_name.is_none()
            && !self.insecure;
        if is_default {
            return Ok(None);
        }
        let mut tls = Tls::new();
        for path in &self.ca {
            let added = tls.add_roots_pem(&read("--ca", path)?);
            tls = added.map_err(|error| of_file("--ca", path, error))?;
        }
        if let Some(cert) = &self.cert {
            let chain = read("--cert", cert)?;
            let key = self.key.as_ref().map_or_else(|| Ok(chain.clone()), |key| read("--key", key));
            // The error says which of the two it is about.
            let options = match &self.key {
                Some(key) => format!("--cert {} and --key {}", cert.display(), key.display()),
                None => format!("--cert {}, without --key", cert.display()),
            };
            tls = tls.identity_pem(&chain, &key?).map_err(|error| of_option(&options, error))?;
        }
        if let Some(name) = &self.server_name {
            tls = tls.server_name(name).map_err(|error| of_option("--server-name", error))?;
        }
        if self.insecure {
            tls = tls.dangerously_accept_any_certificate();
        }
        Ok(Some(tls))
    }
}

/// Reads the file that an option names.
pub(crate) fn read(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("{option}: can't read {}: {error}", path.display()))
    })
}

/// The failure for the contents of a file.
pub(crate) fn of_file(option: &str, path: &Path, error: Error) -> Failure {
    of_option(&format!("{option}: {}", path.display()), error)
}

fn of_option(option: &str, error: Error) -> Failure {
    let mut failure = Failure::from(error);
    failure.message.insert_str(0, &format!("{option}: "));
    failure
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        network: Network,
    }

    #[test]
    fn options_have_the_names_that_they_have_in_curl() {
        let line = ["command", "-k", "-x", "socks5h://proxy:1080", "--cacert", "root.pem"];
        let Command { network } = Command::try_parse_from(line).unwrap();
        assert!(network.insecure);
        assert_eq!(network.proxy.as_deref(), Some("socks5h://proxy:1080"));
        assert_eq!(network.ca, [Path::new("root.pem")]);
    }
}
