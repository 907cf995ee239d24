//! What a TLS handshake agreed on.

use bytes::Bytes;

/// What the TLS handshake of a connection agreed on, and who the peer is. It does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of TLS: `TLS 1.3` or `TLS 1.2`.
    pub version: &'static str,
    /// The cipher suite, by its registered name but for those of TLS 1.3, which have `TLS13` in
    /// front: `TLS13_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// The application protocol that was agreed on by ALPN (RFC 7301), if any: `http/1.1`, or `h2`
    /// on a hyper server.
    pub alpn: Option<Bytes>,
    /// Whether an earlier session was resumed, which saves most of the handshake's work.
    pub is_resumed: bool,
    /// The chain of certificates that the peer has shown, in DER, its own first; of a client none,
    /// unless the server asks for it and it has one.
    ///
    /// They were verified, unless the program said to accept any. What is in them is for an X.509
    /// library to say.
    pub peer_certificates: Vec<Bytes>,
}
