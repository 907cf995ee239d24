use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncWriteExt as _, copy_bidirectional, duplex};
use tokio::net::TcpStream;
use towline::{CloseCode, Message, MessageKind};

use crate::program::{Program, client, connect, example, hear, printed, refusal, run, soon};

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
    assert!(!fs::exists(directory.path("stored/map.png.part")).unwrap());

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

/// The network goes away in the middle, without a close frame. The next client sends what is missing.
#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on_where_it_stopped() {
    let directory = Directory::new();
    let server = directory.serve().await;
    let bytes = directory.write("map.png", 6_000_000);

    let (near, mut far) = duplex(64 << 10);
    let mut socket = soon(TcpStream::connect(&server.address)).await.unwrap();
    let network = tokio::spawn(async move { copy_bidirectional(&mut far, &mut socket).await });
    let mut connection = soon(client().connect_over(near, server.url("/map.png"))).await.unwrap();
    assert_eq!(hear(&mut connection).await, "have 0");
    assert_eq!(refusal(&client(), &server.url("/map.png")).await.0, 409);
    let mut message = connection.message_writer(MessageKind::Binary);
    soon(message.write_all(&bytes[..3_000_000])).await.unwrap();
    soon(message.flush()).await.unwrap();
    let heard = hear(&mut connection).await;
    assert!(heard.starts_with("have ") && heard != "have 0", "{heard}");
    network.abort();
    drop((message, connection));

    // The server gives the file free when it has noticed.
    let path = directory.path("map.png");
    let said = loop {
        let output = run(example!("upload"), &["send", &server.url("/"), &path]).await;
        if output.status.success() {
            break String::from_utf8(output.stdout).unwrap();
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("this file is being uploaded"), "{error}");
    };
    let offset: u64 = said.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1 << 20..=3_000_000).contains(&offset), "{said}");
    assert!(said.ends_with("stored 6000000 bytes\n"), "{said}");
    assert!(fs::read(directory.path("stored/map.png")).unwrap() == bytes);
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
    for name in ["/", "/.profile", "/a/b", "/a%2Fb", "/map.png.part"] {
        assert_eq!(refusal(&client(), &server.url(name)).await.0, 400, "{name}");
    }
    let mut connection = connect(&server.url("/map.png")).await;
    assert_eq!(hear(&mut connection).await, "have 0");
    connection.send(Message::text("a map")).await.unwrap();
    assert!(soon(connection.recv()).await.is_err());
    assert_eq!(connection.closed().unwrap().code(), CloseCode::UNSUPPORTED_DATA);
}
