//! The result of a TLS handshake.

use bytes::Bytes;

/// The result of a connection's TLS handshake. It does not change.
///
/// ```
/// # fn example(connection: &towline::Connection) {
/// if let Some(tls) = connection.tls() {
///     println!("{}, {}, resumed: {}", tls.version, tls.cipher_suite, tls.is_resumed);
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of TLS: `TLS 1.3` or `TLS 1.2`.
    pub version: &'static str,
    /// The cipher suite, by its registered name. Those of TLS 1.3 have the prefix `TLS13` in place
    /// of `TLS`: `TLS13_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// The application protocol that ALPN (RFC 7301) selected, if any: `http/1.1`, or `h2` on a
    /// hyper server.
    pub alpn: Option<Bytes>,
    /// Whether an earlier session was resumed, which saves most of the handshake's work.
    pub is_resumed: bool,
    /// The peer's certificate chain in DER, with its own certificate first. It is empty for a
    /// client unless the server asked for a certificate and the client sent one.
    ///
    /// The chain was verified, unless the program accepts any certificate. Use an X.509 library to
    /// parse it.
    pub peer_certificates: Vec<Bytes>,
}
