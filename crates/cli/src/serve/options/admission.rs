//! The options of `towline serve` that say who may connect.

use clap::Args;
use towline::{OriginPolicy, ServerBuilder, TrustedProxies, Version};

use crate::exit::{Exit, Failure};
use crate::serve::hosts::{self, Hosts};

/// Who may connect, and whom to believe.
#[derive(Debug, Args)]
pub(crate) struct Admission {
    /// Allow pages of this origin, such as https://app.example or https://*.app.example, or any.
    /// Repeat it for more [default: pages from the server's own host and port]
    #[arg(long, value_name = "ORIGIN|any", value_parser = origin)]
    origin: Vec<String>,

    /// Browsers may ask for this server by this name, such as app.example or *.app.example, or by any.
    /// A name of another site can be made to lead here, so files, the list of connections, and pages
    /// with --exec or --proxy need it. Repeat it for more [default: addresses, localhost, and the names
    /// in --listen and --origin]
    #[arg(long, value_name = "NAME|any", value_parser = hosts::read)]
    host: Vec<String>,

    /// Trust X-Forwarded-For and X-Forwarded-Proto from this address or network, such as
    /// 10.1.4.0/24. Repeat it for more [default: loopback only]
    #[arg(long, value_name = "CIDR|none", value_parser = proxy)]
    trust_proxy: Vec<String>,

    /// Refuse clients of draft 8, a version from before RFC 6455
    #[arg(long)]
    no_draft_8: bool,
}

impl Admission {
    /// The server with these options.
    pub(crate) fn of_server(&self, server: ServerBuilder) -> Result<ServerBuilder, Failure> {
        let oldest = if self.no_draft_8 { Version::Rfc6455 } else { Version::Draft8 };
        Ok(server
            .origins(self.origins()?)
            .trusted_proxies(self.trusted_proxies()?)
            .oldest_version(oldest))
    }

    /// The names by which browsers may ask for a server that listens on these addresses.
    pub(crate) fn hosts(&self, listen: &[String]) -> Hosts {
        Hosts::new(&self.host, &self.origin, listen)
    }

    fn origins(&self) -> Result<OriginPolicy, Failure> {
        match &self.origin[..] {
            [] => Ok(OriginPolicy::SameOrigin),
            [any] if any == "any" => Ok(OriginPolicy::Any),
            list if list.iter().any(|entry| entry == "any") => Err(Failure::new(
                Exit::Usage,
                "--origin any can't be combined with another --origin",
            )),
            list => OriginPolicy::list(list).map_err(usage),
        }
    }

    fn trusted_proxies(&self) -> Result<TrustedProxies, Failure> {
        match &self.trust_proxy[..] {
            [] => Ok(TrustedProxies::default()),
            [none] if none == "none" => Ok(TrustedProxies::none()),
            list if list.iter().any(|entry| entry == "none") => {
                let message = "--trust-proxy none can't be combined with another --trust-proxy";
                Err(Failure::new(Exit::Usage, message))
            }
            list => TrustedProxies::new(list).map_err(usage),
        }
    }
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

fn origin(text: &str) -> Result<String, String> {
    if text != "any" {
        OriginPolicy::list([text]).map_err(|error| error.to_string())?;
    }
    Ok(text.to_owned())
}

fn proxy(text: &str) -> Result<String, String> {
    if text != "none" {
        TrustedProxies::new([text]).map_err(|error| error.to_string())?;
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        admission: Admission,
    }

    fn parse(arguments: &[&str]) -> Admission {
        Command::try_parse_from([&["serve"], arguments].concat()).unwrap().admission
    }

    #[test]
    fn all_and_some_exclude_each_other() {
        assert_eq!(parse(&["--origin=any"]).origins().unwrap(), OriginPolicy::Any);
        let both = parse(&["--origin=any", "--origin=https://app.example"]);
        assert_eq!(both.origins().unwrap_err().exit, Exit::Usage);
        let both = parse(&["--trust-proxy=none", "--trust-proxy=10.0.0.0/8"]);
        assert_eq!(both.trusted_proxies().unwrap_err().exit, Exit::Usage);
    }
}
