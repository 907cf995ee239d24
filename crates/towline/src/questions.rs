//! What programs ask of an error, where several kinds have the same answer.

#[cfg(doc)]
use crate::error::Blame;
use crate::error::{Error, ErrorKind};

impl ErrorKind {
    /// Returns whether a deadline has passed: that of connecting or of a handshake, the keepalive's,
    /// the send timeout, or the close timeout.
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::HandshakeTimeout
                | Self::PeerUnresponsive
                | Self::SendTimeout
                | Self::CloseTimeout
        )
    }

    /// Returns whether TLS failed: a certificate is not accepted, one side does not speak TLS where the
    /// other does, or the handshake failed. Wrong options are [`Blame::Local`] and do not count.
    ///
    /// ```
    /// use towline::ErrorKind;
    ///
    /// assert!(ErrorKind::CertificateExpired.is_tls());
    /// assert!(!ErrorKind::InvalidTls.is_tls());
    /// ```
    pub fn is_tls(self) -> bool {
        self.is_certificate()
            || matches!(
                self,
                Self::NotTls
                    | Self::IsTls
                    | Self::Tls
                    | Self::NoApplicationProtocol
                    | Self::ClientCertificate
            )
    }

    /// Returns whether the peer's certificate is not accepted.
    pub fn is_certificate(self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateName
                | Self::CertificateUntrusted
                | Self::CertificateInvalid
        )
    }
}

impl Error {
    /// Returns whether a deadline has passed, as [`ErrorKind::is_timeout`].
    ///
    /// ```
    /// # async fn example(client: towline::Client) {
    /// match client.connect("wss://example.com/feed").await {
    ///     Ok(connection) => println!("{:?}", connection.protocol()),
    ///     Err(error) if error.is_timeout() => println!("no answer in time: {error}"),
    ///     Err(error) if error.is_tls() => println!("not secure: {error}"),
    ///     Err(error) => println!("{:?}: {error}", error.status()),
    /// }
    /// # }
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.kind().is_timeout()
    }

    /// Returns whether TLS failed, as [`ErrorKind::is_tls`].
    pub fn is_tls(&self) -> bool {
        self.kind().is_tls()
    }

    /// Returns the status of the HTTP [response](Self::response), if there was one.
    pub fn status(&self) -> Option<http::StatusCode> {
        self.response().map(http::Response::status)
    }
}
