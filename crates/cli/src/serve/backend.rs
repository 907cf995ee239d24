//! `--proxy`: where the bytes of binary messages go.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The address of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    /// A host and a port.
    Tcp(String),
    Unix(PathBuf),
}

/// A connection to a backend.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Backend {
    /// Reads `tcp://HOST:PORT` or `unix:PATH`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let wrong =
            || "write tcp://HOST:PORT, such as tcp://127.0.0.1:5900, or unix:/PATH".to_owned();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(wrong()),
                _ if cfg!(unix) => Ok(Self::Unix(path.into())),
                _ => Err("this system has no Unix sockets".to_owned()),
            };
        }
        let address = text.strip_prefix("tcp://").ok_or_else(wrong)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let is_port = port.bytes().all(|digit| digit.is_ascii_digit());
        let is_host =
            host.starts_with('[') && host.ends_with(']') || !host.contains([':', '/', '@']);
        match port.parse::<u16>() {
            Ok(1..) if is_port && is_host && !host.is_empty() => Ok(Self::Tcp(address.to_owned())),
            _ => Err(wrong()),
        }
    }

    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address.as_str()).await?;
                // What comes in messages is not delayed, either.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_an_address_or_a_path() {
        for text in ["tcp://127.0.0.1:5900", "tcp://vnc.internal:1", "tcp://[::1]:65535"] {
            assert_eq!(Backend::read(text).unwrap().to_string(), text);
        }
        assert_eq!(Backend::read("tcp://a:1/"), Ok(Backend::Tcp("a:1".into())));
        if cfg!(unix) {
            let socket = Ok(Backend::Unix("/run/a.sock".into()));
            assert_eq!(Backend::read("unix:/run/a.sock"), socket);
            assert_eq!(Backend::read("unix:///run/a.sock"), socket);
        }
        for text in [
            "",
            "5900",
            "127.0.0.1:5900",
            "http://a:80",
            "tcp://",
            "tcp://a",
            "tcp://:1",
            "tcp://a:0",
            "tcp://a:65536",
            "tcp://a:+1",
            "tcp://::1:5900",
            "tcp://a:1/b",
            "tcp://u@a:1",
            "unix:",
        ] {
            assert!(Backend::read(text).is_err(), "{text}");
        }
    }
}
