//! A connection by `wss://`, with whatever cryptography there is.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use towline::{Client, Connection, Error, ErrorKind, Result, Server, Tls, TlsServer};

/// Whether this library brings a provider of its own.
pub(crate) const HAS_OWN: bool = cfg!(any(feature = "ring", feature = "aws-lc-rs"));

/// Whether anybody is trusted unasked.
const HAS_ROOTS: bool = cfg!(any(feature = "platform-verifier", feature = "webpki-roots"));

struct Ends {
    server: Result<TlsServer>,
    client: Tls,
}

fn ends() -> Ends {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (chain, key) = (cert.pem(), signing_key.serialize_pem());
    Ends {
        server: TlsServer::from_pem(chain.as_bytes(), key.as_bytes()),
        client: Tls::new().only_added_roots().add_roots_pem(chain.as_bytes()).unwrap(),
    }
}

/// A message goes to a server and comes back; gives the client's end.
pub(crate) async fn connects() -> Connection {
    let Ends { server, client } = ends();
    let server = Server::builder().tls(server.unwrap()).auto_accept(true);
    let mut server = server.bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", server.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connection = server.next_connection().await.unwrap();
        let message = connection.recv().await.unwrap().unwrap();
        connection.send(message).await.unwrap();
        connection.wait_closed().await;
    });
    let mut connection = Client::new().tls(client).connect(&url).await.unwrap();
    connection.send("ship ahoy").await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some("ship ahoy".into()));
    // This one trusts nobody who could have signed for it.
    let error = Client::new().connect(&url).await.unwrap_err();
    if HAS_ROOTS {
        assert_eq!(error.kind(), ErrorKind::CertificateUntrusted, "{error}");
    } else {
        names(&error, &["platform-verifier", "webpki-roots", "add_roots_pem"]);
    }
    connection
}

/// There is no cryptography: each end says what to do about it, and nobody is dialled.
pub(crate) async fn is_told() {
    let Ends { server, client } = ends();
    let what = ["ring", "aws-lc-rs", "install_default"];
    names(&server.unwrap_err(), &what);
    let url = "wss://127.0.0.1:1/";
    names(&Client::new().tls(client).connect(url).await.unwrap_err(), &what);
    names(&Client::new().connect(url).await.unwrap_err(), &what);
}

fn names(error: &Error, what: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::TlsUnavailable, "{error}");
    let text = error.to_string();
    assert!(what.iter().all(|word| text.contains(word)) && !text.contains('\n'), "{text}");
}
