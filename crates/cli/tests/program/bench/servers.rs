//! Servers for load tests.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use towline::{Connection, Server};

/// The URL of a server that does this with each connection. It runs until the tests end.
pub(super) fn server<Done: Future<Output = ()> + Send + 'static>(
    behave: impl Fn(Connection) -> Done + Clone + Send + 'static,
) -> String {
    let (tell, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut server = Server::bind("127.0.0.1:0").await.unwrap();
            tell.send(server.local_addr().unwrap()).unwrap();
            while let Some(request) = server.next_request().await {
                let behave = behave.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = request.accept().await {
                        behave(connection).await;
                    }
                });
            }
        });
    });
    format!("ws://{}/", address.recv().unwrap())
}

/// The URL of a server that does this with each socket.
pub(super) fn sockets(behave: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (behave, stream) = (behave.clone(), stream.unwrap());
            thread::spawn(move || behave(stream));
        }
    });
    format!("ws://{address}/")
}

/// Sends bytes that a client may no longer want.
pub(super) fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}
