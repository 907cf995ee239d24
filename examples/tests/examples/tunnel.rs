#[cfg(unix)]
use std::ffi::OsStr;
use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towline::{Client, CloseCode};

#[cfg(unix)]
use crate::program::run_with;
use crate::program::{Program, client, example, refusal, soon};

/// A service that echoes bytes, and its address.
async fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

async fn serve(target: &str) -> Program {
    let arguments = ["serve", "127.0.0.1:0", target];
    Program::start_with(example!("tunnel"), &arguments, ("TUNNEL_TOKEN", "31d4d96e")).await
}

async fn listen(server: &Program, token: &str) -> Program {
    let arguments = ["listen", "127.0.0.1:0", &server.url("/")];
    Program::start_with(example!("tunnel"), &arguments, ("TUNNEL_TOKEN", token)).await
}

async fn call(near: &Program) -> TcpStream {
    soon(TcpStream::connect(&near.address)).await.unwrap()
}

fn with_token() -> Client {
    client().header("authorization", "Bearer 31d4d96e")
}

/// Whether the other end has ended the connection, in whatever way.
async fn is_over(stream: &mut TcpStream) -> bool {
    !matches!(soon(stream.read(&mut [0])).await, Ok(1..))
}

#[tokio::test]
async fn megabytes_go_through_both_ways_at_once() {
    let far = serve(&service().await).await;
    let near = listen(&far, "31d4d96e").await;
    let mut callers: Vec<_> = Vec::new();
    for number in 0..4_u8 {
        let mut caller = call(&near).await;
        callers.push(tokio::spawn(async move {
            let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8 ^ number).collect();
            let (mut reader, mut writer) = caller.split();
            let mut echoed = vec![0; bytes.len()];
            let (sent, read) =
                tokio::join!(writer.write_all(&bytes), reader.read_exact(&mut echoed));
            sent.unwrap();
            read.unwrap();
            assert!(bytes == echoed);
        }));
    }
    for caller in callers {
        soon(caller).await.unwrap();
    }
}

#[tokio::test]
async fn a_caller_sees_that_the_service_is_down() {
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    drop(listener);
    let far = serve(&target).await;
    let mut connection = soon(with_token().connect(far.url("/"))).await.unwrap();
    assert!(soon(connection.recv()).await.is_err());
    let closed = connection.closed().unwrap();
    assert_eq!((closed.code(), closed.reason()), (CloseCode::BAD_GATEWAY, "the service is down"));
    let near = listen(&far, "31d4d96e").await;
    assert!(is_over(&mut call(&near).await).await);
}

#[tokio::test]
async fn a_wrong_token_gets_nowhere() {
    let far = serve(&service().await).await;
    for wrong in ["", "Bearer", "Bearer 31d4d96", "Bearer 31d4d96e0", "31d4d96e"] {
        let client = client().header("authorization", wrong);
        assert_eq!(refusal(&client, &far.url("/")).await.0, 401, "{wrong}");
    }
    assert_eq!(refusal(&client(), &far.url("/")).await.0, 401);
    let near = listen(&far, "31d4d96f").await;
    assert!(is_over(&mut call(&near).await).await);
}

/// Even one that has the token, since it could connect to any service in the network of its visitor.
#[tokio::test]
async fn a_page_of_another_site_reaches_no_service() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
    let far = serve(&service.local_addr().unwrap().to_string()).await;
    let page = with_token().origin("https://evil.example");
    assert_eq!(refusal(&page, &far.url("/")).await.0, 403);
    // The listener does not block.
    assert_eq!(service.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// It must not be taken for no token, with which everybody gets in.
#[cfg(unix)]
#[tokio::test]
async fn a_token_that_cannot_be_one_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;

    for (token, reason) in [(&b"\xff31d4d96e"[..], "not UTF-8"), (b"", "empty")] {
        let token = ("TUNNEL_TOKEN", OsStr::from_bytes(token));
        let arguments = ["serve", "127.0.0.1:0", "127.0.0.1:22"];
        let output = run_with(example!("tunnel"), &arguments, token).await;
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(reason) && !error.contains("31d4d96e"), "{error}");
    }
}

#[tokio::test]
async fn a_tunnel_that_is_killed_ends_its_callers_and_the_next_one_works() {
    let target = service().await;
    let mut far = serve(&target).await;
    let near = listen(&far, "31d4d96e").await;
    let mut caller = call(&near).await;
    caller.write_all(b"a").await.unwrap();
    assert_eq!(soon(caller.read_u8()).await.unwrap(), b'a');
    far.process.kill().await.unwrap();
    assert!(is_over(&mut caller).await);
    // Restarted on its port, with nothing to do at the near end.
    let arguments = ["serve", &far.address, &target];
    let _far =
        Program::start_with(example!("tunnel"), &arguments, ("TUNNEL_TOKEN", "31d4d96e")).await;
    let mut caller = call(&near).await;
    caller.write_all(b"b").await.unwrap();
    assert_eq!(soon(caller.read_u8()).await.unwrap(), b'b');
}
