//! From a name to a socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use towline::{ErrorKind, Resolve};

use crate::loopback::{Loopback, direct, listener, nobody};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A table of addresses that keeps what it was asked.
#[derive(Clone, Default)]
struct Table(Vec<IpAddr>, Arc<Mutex<Vec<String>>>);

impl Resolve for Table {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.1.lock().unwrap().push(host.to_owned());
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn a_name_is_looked_up_by_whom_the_program_says() {
    let server = Loopback::accepting().await;
    let table = Table(vec![V4], Arc::default());
    let url = format!("ws://Feed.Example:{}/a", server.address.port());
    let client = direct().resolver(table.clone());
    let connection = client.connect(&url).await.unwrap();
    assert_eq!(*table.1.lock().unwrap(), ["feed.example"]);
    assert_eq!(connection.peer_addr(), Some(server.address));
    assert!(connection.tcp_stream().is_some());
    let host = format!("feed.example:{}", server.address.port());
    assert_eq!(crate::http::header(&server.said()[0], "host"), Some(&*host));
    // A function will do, and so will a clone of the client.
    let client = direct().resolver(|host: String| async move {
        assert_eq!(host, "feed.example");
        Ok(vec![V4])
    });
    client.clone().connect(&url).await.unwrap();
}

#[tokio::test]
async fn an_address_is_not_looked_up() {
    let nowhere = || direct().resolver(|host| async move { panic!("asked for {host}") });
    let server = Loopback::accepting().await;
    nowhere().connect(server.url("/")).await.unwrap();
    // Whether or not there is IPv6 here: it is tried as the address it is.
    let error = nowhere().connect("ws://[::1]:1/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().starts_with("can't connect to [::1]:1: "), "{error}");
    assert_eq!(error.to_string().matches("[::1]:1").count(), 1, "{error}");
}

#[tokio::test]
async fn the_system_looks_names_up_by_default() {
    let server = Loopback::accepting().await;
    let url = format!("ws://localhost:{}/", server.address.port());
    direct().connect(url).await.unwrap();
}

#[tokio::test]
async fn an_address_that_fails_makes_way_for_the_next() {
    let server = Loopback::accepting().await;
    let dead = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254));
    let client = direct().resolver(Table(vec![V6, dead, V4], Arc::default()));
    let connection = client.connect(format!("ws://h:{}/", server.address.port())).await.unwrap();
    assert_eq!(connection.peer_addr(), Some(server.address));
}

#[tokio::test]
async fn an_error_has_every_attempt_in_one_line() {
    let port = nobody().await.port();
    let client = direct().resolver(Table(vec![V4, V6, V4], Arc::default()));
    let error = client.connect(format!("ws://h:{port}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(text.starts_with(&format!("can't connect to h:{port}: ")), "{text}");
    for address in [SocketAddr::new(V4, port), SocketAddr::new(V6, port)] {
        assert_eq!(text.matches(&format!("{address}: ")).count(), 1, "{text}");
    }
    assert!(!text.contains('\n'), "{text}");
    assert!(error.get_ref().is_some_and(|source| source.is::<io::Error>()));
}

#[tokio::test]
async fn a_name_that_can_not_be_looked_up_is_told() {
    let client = direct().resolver(|_| async { Err(io::Error::other("the book is closed")) });
    let error = client.connect("ws://feed.example/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        "can't connect to feed.example: looking up the name failed: the book is closed"
    );
    let error =
        direct().resolver(Table::default()).connect("ws://feed.example/").await.unwrap_err();
    assert!(
        error.to_string().ends_with("looking up the name failed: the host has no address"),
        "{error}"
    );
}

/// Tells when it is dropped.
struct Told(Arc<Mutex<bool>>);

impl Drop for Told {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_takes_too_long_is_named_and_given_up() {
    let dropped = Arc::new(Mutex::new(false));
    let held = dropped.clone();
    let client = direct().connect_timeout(Duration::from_secs(3)).resolver(move |_| {
        let told = Told(held.clone());
        async move {
            let _told = told;
            std::future::pending().await
        }
    });
    let error = client.connect("ws://feed.example/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    assert_eq!(
        error.to_string(),
        "no connection to feed.example within 3s (connect_timeout): looking up the name feed.example"
    );
    assert!(*dropped.lock().unwrap());
}

/// Where the kernel drops what comes to a listener whose backlog is full, that is a black hole.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn an_address_that_does_not_answer_is_named() {
    use socket2::{Domain, Socket, Type};
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let hole = socket();
    hole.bind(&SocketAddr::new(V4, 0).into()).unwrap();
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap();
    let crowd: Vec<_> = (0..8).map(|_| socket()).collect();
    for one in &crowd {
        one.set_nonblocking(true).unwrap();
        let _ = one.connect(&address);
    }
    let address = address.as_socket().unwrap();
    let error = direct().connect(format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    let doing = format!("(connect_timeout): connecting to {address}");
    assert!(error.to_string().ends_with(&doing), "{error}");
}

#[tokio::test]
async fn a_connecting_that_is_dropped_leaves_no_socket_open() {
    let (listener, address) = listener().await;
    let connecting =
        tokio::spawn(async move { direct().connect(format!("ws://{address}/")).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let request = crate::http::head(&mut stream).await;
    assert!(request.starts_with("GET / HTTP/1.1\r\n"));
    connecting.abort();
    assert_eq!(crate::loopback::until_end(&mut stream).await, b"");
}
