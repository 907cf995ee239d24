//! A tunnel through a proxy, for bytes that are no handshake of the library's client.

use std::fmt;

use http::Uri;
use http::header::PROXY_AUTHORIZATION;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towline::{HeadLimits, Target, Tls};
use towline_proto::handshake::{Credentials, parse_response};

use crate::check::talk::Stream;

/// A proxy.
pub(crate) struct Proxied {
    scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    Socks,
}

impl Proxied {
    /// Reads the URL of a proxy. The library has checked it before.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = url.parse().ok()?;
        let (scheme, default) = match uri.scheme_str()? {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "socks" | "socks5" | "socks5h" => (Scheme::Socks, 1080),
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
        let credentials = user.map(Credentials::from_user_info);
        Some(Self { scheme, host, port: authority.port_u16().unwrap_or(default), credentials })
    }

    /// Turns the stream to the proxy into one to the target. The error is the end of a sentence.
    pub(crate) async fn tunnel(&self, stream: Stream, target: &Target) -> Result<Stream, String> {
        match self.scheme {
            Scheme::Socks => self.socks(stream, target).await,
            Scheme::Http => self.connect(stream, target).await,
            Scheme::Https => {
                let stream = Tls::new().connect(stream, &self.host).await;
                self.connect(Box::new(stream.map_err(|error| error.to_string())?), target).await
            }
        }
    }

    /// CONNECT (RFC 9110, section 9.3.6).
    async fn connect(&self, mut stream: Stream, target: &Target) -> Result<Stream, String> {
        let host = bracketed(target.host());
        let authority = format!("{host}:{}", target.port());
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(basic) = self.credentials.as_ref().map(Credentials::basic) {
            let basic = basic.to_str().unwrap_or_default();
            request += &format!("{PROXY_AUTHORIZATION}: {basic}\r\n");
        }
        request += "\r\n";
        let io = |error: std::io::Error| error.to_string();
        stream.write_all(request.as_bytes()).await.map_err(io)?;
        stream.flush().await.map_err(io)?;
        let mut head = Vec::new();
        loop {
            // Byte by byte: what follows the head is the server's.
            head.push(stream.read_u8().await.map_err(io)?);
            let parsed = parse_response(&head, &HeadLimits::default());
            if let Some((response, _)) = parsed.map_err(|error| error.to_string())? {
                let status = response.status();
                return match status.is_success() {
                    true => Ok(stream),
                    false => Err(format!("it refused the tunnel: {status}")),
                };
            }
        }
    }

    /// SOCKS5 (RFC 1928, RFC 1929). The proxy looks up the name.
    async fn socks(&self, mut stream: Stream, target: &Target) -> Result<Stream, String> {
        let io = |error: std::io::Error| error.to_string();
        let method = if self.credentials.is_some() { 2 } else { 0 };
        stream.write_all(&[5, 1, method]).await.map_err(io)?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await.map_err(io)?;
        if chosen != [5, method] {
            return Err("it is no SOCKS5 proxy, or wants another authentication".to_owned());
        }
        if let Some(credentials) = &self.credentials {
            let mut login = vec![1];
            for part in [credentials.user(), credentials.password()] {
                login.push(u8::try_from(part.len()).map_err(|_| "the password is too long")?);
                login.extend_from_slice(part);
            }
            stream.write_all(&login).await.map_err(io)?;
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).await.map_err(io)?;
            if answer[1] != 0 {
                return Err("it does not accept the user and password".to_owned());
            }
        }
        let host = target.host().as_bytes();
        let mut request = vec![5, 1, 0, 3];
        request.push(u8::try_from(host.len()).map_err(|_| "the host is too long")?);
        request.extend_from_slice(host);
        request.extend_from_slice(&target.port().to_be_bytes());
        stream.write_all(&request).await.map_err(io)?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.map_err(io)?;
        if answer[1] != 0 {
            return Err(format!("it could not connect: SOCKS error {}", answer[1]));
        }
        let rest = match answer[3] {
            1 => 4 + 2,
            4 => 16 + 2,
            _ => usize::from(stream.read_u8().await.map_err(io)?) + 2,
        };
        stream.read_exact(&mut vec![0; rest]).await.map_err(io)?;
        Ok(stream)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Without user and password.
impl fmt::Display for Proxied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Socks => "socks5",
        };
        write!(f, "{scheme}://{}:{}", bracketed(&self.host), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        for (url, shown) in [
            ("http://u:s3cret@proxy:3128", "http://proxy:3128"),
            ("proxy", "http://proxy:80"),
            ("socks5h://u:s3cret@[::1]", "socks5://[::1]:1080"),
        ] {
            assert_eq!(Proxied::parse(url).unwrap().to_string(), shown);
        }
        assert!(Proxied::parse("ftp://a").is_none());
    }
}
