//! A WebSocket as the transport of other libraries: TLS, and HTTP over that, in binary messages.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::generate_simple_self_signed;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use towline::{ByteStream, Client, Compress, Proxy, Server};

use crate::support::{FRONTS, serve, soon};

/// The two ends of TLS.
fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = generate_simple_self_signed(["localhost".into()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(default_provider());
    let at_server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let at_client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(at_server).into(), Arc::new(at_client).into())
}

/// Serves an echo of bodies over HTTP over TLS over the WebSocket.
async fn serve_inside(tunnel: ByteStream, tls: TlsAcceptor) {
    let stream = tls.accept(tunnel).await.unwrap();
    let service = service_fn(|request: Request<Incoming>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(body)))
    });
    server::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap();
}

#[tokio::test]
async fn hypers_client_speaks_https_through_a_websocket() {
    for front in FRONTS {
        let (acceptor, connector) = tls();
        let mut websockets = Server::builder().build();
        let address = serve(&websockets, front).await;
        let serving = tokio::spawn(async move {
            let request = websockets.next_request().await.unwrap();
            let tunnel = request.accept().await.unwrap().into_byte_stream();
            serve_inside(tunnel.compress(Compress::Never), acceptor).await;
        });
        let connecting = Client::new().proxy(Proxy::none()).connect(format!("ws://{address}/"));
        let tunnel = soon(connecting).await.unwrap().into_byte_stream();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = soon(connector.connect(name, tunnel)).await.unwrap();
        let (mut sender, connection) = soon(client::handshake(TokioIo::new(stream))).await.unwrap();
        let driving = tokio::spawn(connection);
        for len in [0, 1, 5000, 3 << 20] {
            let body: Bytes = vec![7; len].into();
            let request = Request::post("/echo").body(Full::new(body.clone())).unwrap();
            let response = soon(sender.send_request(request)).await.unwrap();
            let echo = soon(response.into_body().collect()).await.unwrap().to_bytes();
            assert!(echo == body, "{len}, {front:?}");
        }
        drop(sender);
        soon(driving).await.unwrap().unwrap();
        soon(serving).await.unwrap();
    }
}
