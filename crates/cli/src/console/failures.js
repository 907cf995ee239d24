// Handshakes that came to no valid request in words, by the codes of the kinds of errors.

const FAILURES = {
  ERR_HANDSHAKE_TIMEOUT: "too slow: no whole request in time",
  ERR_CONNECTION_LOST: "cut off before the request was complete",
  ERR_NOT_HTTP: "no HTTP",
  ERR_LIMIT_EXCEEDED: "the head of the request was too large",
  ERR_HANDSHAKE: "not a WebSocket request, another version, or a bad key",
  ERR_IS_TLS: "TLS, where the port is plain",
  ERR_NOT_TLS: "no TLS, where the port is TLS",
  ERR_NO_APPLICATION_PROTOCOL: "TLS: no protocol of this server offered (ALPN)",
  ERR_CLIENT_CERTIFICATE: "TLS: no client certificate",
  ERR_CERTIFICATE_EXPIRED: "TLS: client certificate expired or not yet valid",
  ERR_CERTIFICATE_UNTRUSTED: "TLS: client certificate not trusted",
  ERR_CERTIFICATE_INVALID: "TLS: client certificate invalid",
  ERR_TLS: "TLS: the handshake failed",
};

export function describeFailure(code) {
  return FAILURES[code] ?? code;
}
