use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional, duplex};
use tokio::net::TcpStream;
use towline::{CloseCode, Message, MessageKind};

use crate::program::{Program, client, connect, example, hear, printed, refusal, run, soon};

/// Where a client uploads these bytes.
fn resource(name: &str, bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/{name}?size={}&sha256={hash}", bytes.len())
}

/// A directory that is removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("towline-upload-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("stored")).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    async fn serve(&self) -> Program {
        let arguments = ["serve", "127.0.0.1:0", &self.path("stored")];
        Program::start(example!("upload"), &arguments).await
    }

    /// The names of all that the server has, whole or in part.
    fn stored(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("stored")).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    }

    fn write(&self, name: &str, length: u32) -> Vec<u8> {
        let bytes: Vec<u8> =
            (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(self.path(name), &bytes).unwrap();
        bytes
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_file_arrives_whole_and_the_client_learns_how_far_it_is() {
    let directory = Directory::new();
    let server = directory.serve().await;
    let bytes = directory.write("map.png", 5_000_000);
    let said =
        printed(example!("upload"), &["send", &server.url("/"), &directory.path("map.png")]).await;
    assert!(said.starts_with("from 0 of 5000000 bytes\n"), "{said}");
    assert!(said.matches(" of 5000000 bytes\n").count() >= 3, "{said}");
    assert!(said.ends_with("stored 5000000 bytes\n"), "{said}");
    assert!(fs::read(directory.path("stored/map.png")).unwrap() == bytes);
    assert_eq!(directory.stored(), ["map.png"]);

    let again =
        run(example!("upload"), &["send", &server.url("/"), &directory.path("map.png")]).await;
    assert!(!again.status.success());
    let error = String::from_utf8_lossy(&again.stderr);
    assert!(error.contains("there is a file of this name"), "{error}");

    directory.write("empty", 0);
    let said =
        printed(example!("upload"), &["send", &server.url("/"), &directory.path("empty")]).await;
    assert!(said.ends_with("stored 0 bytes\n"), "{said}");
}

/// Uploads the first half of these bytes. Then the network goes away, without a close frame.
async fn send_half(server: &Program, name: &str, bytes: &[u8]) {
    let url = server.url(&resource(name, bytes));
    let (near, mut far) = duplex(64 << 10);
    let mut socket = soon(TcpStream::connect(&server.address)).await.unwrap();
    let network = tokio::spawn(async move { copy_bidirectional(&mut far, &mut socket).await });
    let mut connection = soon(client().connect_over(near, &url)).await.unwrap();
    assert_eq!(hear(&mut connection).await, "have 0");
    assert_eq!(refusal(&client(), &url).await.0, 409);
    let mut message = connection.message_writer(MessageKind::Binary);
    soon(message.write_all(&bytes[..bytes.len() / 2])).await.unwrap();
    soon(message.flush()).await.unwrap();
    let heard = hear(&mut connection).await;
    assert!(heard.starts_with("have ") && heard != "have 0", "{heard}");
    network.abort();
}

/// Uploads a file, again until the server has noticed that the last upload is over.
async fn send_when_free(server: &Program, path: &str) -> String {
    loop {
        let output = run(example!("upload"), &["send", &server.url("/"), path]).await;
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("this file is being uploaded"), "{error}");
    }
}

/// The next client sends what is missing.
#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on_where_it_stopped() {
    let directory = Directory::new();
    let server = directory.serve().await;
    let bytes = directory.write("map.png", 6_000_000);

    send_half(&server, "map.png", &bytes).await;

    let said = send_when_free(&server, &directory.path("map.png")).await;
    let offset: u64 = said.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1 << 20..=3_000_000).contains(&offset), "{said}");
    assert!(said.ends_with("stored 6000000 bytes\n"), "{said}");
    assert!(fs::read(directory.path("stored/map.png")).unwrap() == bytes);
}

/// Otherwise it would be stored with the first half of the other one.
#[tokio::test]
async fn another_file_of_the_same_name_begins_anew() {
    let directory = Directory::new();
    let server = directory.serve().await;
    let bytes = directory.write("map.png", 6_000_000);
    send_half(&server, "map.png", &vec![1; 5_000_000]).await;
    let said = send_when_free(&server, &directory.path("map.png")).await;
    assert!(said.starts_with("from 0 of 6000000 bytes\n"), "{said}");
    assert!(fs::read(directory.path("stored/map.png")).unwrap() == bytes);
}

/// The file has changed while it was sent, or on the server's disk between two uploads.
#[tokio::test]
async fn bytes_without_the_hash_of_the_request_are_not_stored() {
    let directory = Directory::new();
    let server = directory.serve().await;
    for sent in [&b"a mop"[..], b"a ma", b""] {
        let mut connection = connect(&server.url(&resource("map.png", b"a map"))).await;
        assert_eq!(hear(&mut connection).await, "have 0");
        connection.send(Message::binary(sent)).await.unwrap();
        assert!(soon(connection.recv()).await.is_err());
        let closed = connection.closed().unwrap();
        assert_eq!(closed.code(), CloseCode::POLICY);
        assert_eq!(closed.reason(), "these are not the bytes of ?size= and &sha256=");
        assert!(directory.stored().is_empty());
    }
    let mut connection = connect(&server.url(&resource("map.png", b"a map"))).await;
    assert_eq!(hear(&mut connection).await, "have 0");
    connection.send(Message::binary(&b"a map!"[..])).await.unwrap();
    assert!(soon(connection.recv()).await.is_err());
    assert_eq!(connection.closed().unwrap().code(), CloseCode::MESSAGE_TOO_BIG);
    assert!(!directory.stored().contains(&"map.png".to_owned()));
}

#[tokio::test]
async fn a_large_file_takes_little_memory() {
    let directory = Directory::new();
    let server = directory.serve().await;
    let file = fs::File::create(directory.path("large")).unwrap();
    file.set_len(80 << 20).unwrap();
    let said =
        printed(example!("upload"), &["send", &server.url("/"), &directory.path("large")]).await;
    assert!(said.ends_with("stored 83886080 bytes\n"), "{said}");
    if let Some(memory) = server.peak_memory() {
        assert!(memory < 40 << 20, "{memory} bytes");
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let directory = Directory::new();
    let server = directory.serve().await;
    let good = resource("map.png", b"a map");
    let query = good.trim_start_matches("/map.png");
    for name in ["/", "/.profile", "/a/b", "/a%2Fb", "/map.png.part"] {
        assert_eq!(
            refusal(&client(), &server.url(&format!("{name}{query}"))).await.0,
            400,
            "{name}"
        );
    }
    for bad in [
        "/map.png".to_owned(),
        good.replace("size=5", "size=-5"),
        good.replace("size=5", ""),
        good.replace("sha256=", "sha256=../"),
        good.to_uppercase().replace("SIZE", "size").replace("SHA", "sha"),
        good[..good.len() - 1].to_owned(),
    ] {
        let (status, reason) = refusal(&client(), &server.url(&bad)).await;
        assert!(status == 400 && reason.contains("is missing"), "{bad}: {status} {reason}");
    }
    let huge = good.replace("size=5", "size=18446744073709551615");
    assert_eq!(refusal(&client(), &server.url(&huge)).await.0, 413);
    let mut connection = connect(&server.url(&good)).await;
    assert_eq!(hear(&mut connection).await, "have 0");
    connection.send(Message::text("a map")).await.unwrap();
    assert!(soon(connection.recv()).await.is_err());
    assert_eq!(connection.closed().unwrap().code(), CloseCode::UNSUPPORTED_DATA);
}
