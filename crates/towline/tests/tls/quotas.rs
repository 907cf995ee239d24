//! A client that is refused by a quota costs no TLS handshake.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use towline::{Measurement, TrustedProxies};

use crate::ends::{SCHEME, client, server};

#[tokio::test]
async fn a_client_with_too_many_connections_is_dropped_before_the_tls_handshake() {
    // Otherwise a peer on loopback may be a proxy, whose client is not known yet.
    let builder = server().trusted_proxies(TrustedProxies::none()).max_connections_per_address(1);
    let mut server = builder.bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let url = format!("{SCHEME}://{address}/");
    let connecting = tokio::spawn(client().connect(&url));
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    let _client = connecting.await.unwrap().unwrap();
    let mut measurements = server.handle().measurements();
    // It has said nothing, and hears the end nonetheless.
    let mut refused = TcpStream::connect(address).await.unwrap();
    let mut heard = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(60), refused.read_to_end(&mut heard));
    end.await.expect("an end").unwrap();
    assert_eq!(heard, b"");
    let stats = server.stats();
    assert_eq!(stats.rejected[&http::StatusCode::TOO_MANY_REQUESTS], 1);
    assert_eq!(stats.tls_failed, 0);
    let Some(Measurement::Handshake { status, is_secure, .. }) = measurements.try_next() else {
        panic!("it is not measured")
    };
    assert_eq!((status.as_u16(), is_secure), (429, true));
    // Its place is free again with the end of the other.
    drop(connection);
    while !server.connections().is_empty() {
        tokio::task::yield_now().await;
    }
    let connecting = tokio::spawn(client().connect(&url));
    server.next_request().await.unwrap().accept().await.unwrap();
    connecting.await.unwrap().unwrap();
}
