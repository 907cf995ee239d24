//! `towline serve --static`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{Program, Serve, ask, header, join, next, within};

/// A directory of its own, with a neighbour that nobody may see.
struct Site {
    base: PathBuf,
}

impl Site {
    fn new(name: &str) -> Self {
        let base = std::env::temp_dir().join(format!("towline-site-{name}-{}", std::process::id()));
        let site = Self { base };
        for (file, text) in [
            ("site/index.html", "<h1>ahoy</h1>"),
            ("site/app.js", "export {}"),
            ("site/docs/index.html", "docs"),
            ("site/empty.txt", ""),
            ("site/.env", "SECRET"),
            ("site/.git/config", "SECRET"),
            ("site/console/index.html", "not the console"),
            ("site-private/secret.txt", "SECRET"),
        ] {
            let path = site.base.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        site
    }

    fn serve(&self) -> Serve {
        let directory = self.base.join("site");
        let mut server = Serve::start(&["--static", directory.to_str().unwrap()]);
        let line = server.program.line();
        let console = format!("console on http://{}/console#token=", server.address);
        server.token = line.strip_prefix(&console).unwrap_or_else(|| panic!("{line}")).to_owned();
        server
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

#[tokio::test]
async fn files_are_served_beside_websockets_and_the_console() {
    let site = Site::new("files");
    let server = site.serve();
    let (head, body) = ask(&server, "GET /");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(header(&head, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&head, "x-content-type-options"), "nosniff");
    assert_eq!(body, b"<h1>ahoy</h1>");
    let (head, body) = ask(&server, "GET /app.js?v=1");
    assert_eq!(header(&head, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(body, b"export {}");
    let (head, body) = ask(&server, "HEAD /app.js");
    assert_eq!((header(&head, "content-length"), body.len()), ("9", 0));
    let (head, body) = ask(&server, "GET /empty.txt");
    assert_eq!((header(&head, "content-length"), body.len()), ("0", 0));
    let (head, _) = ask(&server, "GET /docs");
    assert!(head.starts_with("http/1.1 301"), "{head}");
    assert_eq!(header(&head, "location"), "./docs/");
    let (head, _) = ask(&server, "GET /docs?page=2&x");
    assert_eq!(header(&head, "location"), "./docs/?page=2&x");
    assert_eq!(ask(&server, "GET /docs/").1, b"docs");

    let (_, body) = ask(&server, "GET /console");
    assert!(body.starts_with(b"<!doctype html>"));
    let (head, _) = ask(&server, "GET /console/");
    assert_eq!(header(&head, "location"), "../console");
    assert!(ask(&server, "GET /console/client.js").0.starts_with("http/1.1 200"));

    let mut connection = join(&server, "/app.js").await;
    connection.send("ahoy").await.unwrap();
    assert_eq!(next(&mut connection).await, "ahoy");
}

#[test]
fn nothing_else_is_served() {
    let site = Site::new("paths");
    let server = site.serve();
    #[cfg(unix)]
    {
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, site.base.join("site").join(name)).unwrap();
        };
        link("../site-private/secret.txt", "link.txt");
        link("../site-private", "linked");
        link(".env", "env.txt");
        link("/etc/passwd", "passwd");
        let made = std::process::Command::new("mkfifo").arg(site.base.join("site/pipe")).status();
        assert!(made.unwrap().success());
    }
    for path in [
        "/../site-private/secret.txt",
        "/docs/../../site-private/secret.txt",
        "/%2e%2e/site-private/secret.txt",
        "/%2e%2e%2fsite-private/secret.txt",
        "/..%2fsite-private%2fsecret.txt",
        "/..%5csite-private%5csecret.txt",
        "/%252e%252e/site-private/secret.txt",
        "/%c0%ae%c0%ae/site-private/secret.txt",
        "/.%2e/site-private/secret.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/etc/passwd",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/index.html%00.txt",
        "/index.html/",
        "/app.js/..",
        "/nowhere",
        "/link.txt",
        "/linked/secret.txt",
        "/env.txt",
        "/passwd",
        "/pipe",
        "/%",
        "/%zz",
    ] {
        for method in ["GET", "HEAD"] {
            let (head, body) = ask(&server, &format!("{method} {path}"));
            assert!(head.starts_with("http/1.1 404"), "{method} {path}: {head}");
            let body = String::from_utf8(body).unwrap();
            assert!(!body.contains("SECRET") && !body.contains("root:"), "{path}: {body}");
        }
    }
    let (head, _) = ask(&server, &format!("GET /{}", "a/".repeat(2000)));
    assert!(head.starts_with("http/1.1 404"), "{head}");
    for (request, status) in [("POST /index.html", 405), ("DELETE /docs", 405), ("POST /x", 404)] {
        let (head, _) = ask(&server, request);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{request}: {head}");
        assert!(status == 404 || header(&head, "allow") == "get, head");
    }
}

/// A page can have the name of its site lead to this machine (DNS rebinding), and could then read files.
#[test]
fn a_page_of_a_rebound_name_reads_no_files() {
    let site = Site::new("rebound");
    let directory = site.base.join("site");
    let directory = directory.to_str().unwrap();
    let status = |server: &Serve, host: &str| {
        let (head, body) = ask(server, &format!("GET /app.js\nHost: {host}"));
        (head[9..12].to_owned(), String::from_utf8(body).unwrap())
    };
    let server = site.serve();
    let (code, why) = status(&server, "evil.example:9001");
    assert_eq!(code, "403");
    assert!(why.contains("evil.example,") && why.contains("(--host)"), "{why}");
    for host in ["localhost:1", "[::1]:9001", "192.0.2.1"] {
        assert_eq!(status(&server, host).0, "200", "{host}");
    }
    let server = Serve::start(&[
        "--host=*.app.example",
        "--origin=https://other.example",
        "--static",
        directory,
    ]);
    for (host, code) in [("eu.app.example", "200"), ("other.example", "200"), ("a.example", "403")]
    {
        assert_eq!(status(&server, host).0, code, "{host}");
    }
    let server = Serve::start(&["--host=any", "--static", directory]);
    assert_eq!(status(&server, "evil.example").0, "200");
}

#[test]
fn a_file_that_is_known_is_not_sent_again_and_a_part_is_a_part() {
    let site = Site::new("parts");
    let long: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(2000);
    fs::write(site.base.join("site/long.bin"), &long).unwrap();
    let server = site.serve();
    let (head, body) = ask(&server, "GET /long.bin");
    assert!(body == long);
    assert_eq!(header(&head, "content-type"), "application/octet-stream");
    let (tag, date) = (header(&head, "etag"), header(&head, "last-modified"));
    for condition in [format!("If-None-Match: {tag}"), format!("If-Modified-Since: {date}")] {
        let condition = condition.replace("gmt", "GMT");
        let (head, body) = ask(&server, &format!("GET /long.bin\n{}", titled(&condition)));
        assert!(head.starts_with("http/1.1 304"), "{condition}: {head}");
        assert!(body.is_empty());
    }
    let (head, body) = ask(&server, "GET /long.bin\nRange: bytes=100000-100099");
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert_eq!(header(&head, "content-range"), "bytes 100000-100099/512000");
    assert!(body == long[100_000..100_100]);
    let (head, body) = ask(&server, "GET /long.bin\nRange: bytes=-1");
    assert_eq!((header(&head, "content-length"), &body[..]), ("1", &long[511_999..]));
    let (head, _) = ask(&server, "HEAD /long.bin\nRange: bytes=0-9");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(header(&head, "content-length"), "512000");
    let (head, _) = ask(&server, "GET /long.bin\nRange: bytes=512000-");
    assert!(head.starts_with("http/1.1 416"), "{head}");
    assert_eq!(header(&head, "content-range"), "bytes */512000");

    fs::write(site.base.join("site/long.bin"), b"other").unwrap();
    let (head, body) = ask(&server, &format!("GET /long.bin\nIf-None-Match: {tag}"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, b"other");
}

#[test]
fn a_file_of_any_time_is_served() {
    let site = Site::new("times");
    let server = site.serve();
    let path = site.base.join("site/app.js");
    let since_2001 = "GET /app.js\nIf-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT";
    // Neither has a form in HTTP. The first is in the year 10000, which not every file system has.
    for (time, is_known) in [
        (UNIX_EPOCH + Duration::from_secs(253_402_300_800), false),
        (UNIX_EPOCH - Duration::from_secs(60), true),
    ] {
        let file = fs::File::options().write(true).open(&path).unwrap();
        let is_set = file.set_modified(time).is_ok()
            && file.metadata().unwrap().modified().is_ok_and(|modified| modified == time);
        assert!(is_set || !is_known, "{time:?}");
        if !is_set {
            continue;
        }
        for request in ["GET /app.js", since_2001] {
            let (head, body) = ask(&server, request);
            assert!(head.starts_with("http/1.1 200"), "{time:?} {request}: {head}");
            assert!(!head.contains("last-modified"), "{head}");
            assert_eq!(body, b"export {}");
        }
    }
}

/// Over HTTP/2, a body after the head would be a fault.
#[tokio::test]
async fn head_has_a_length_and_no_body_over_http2() {
    let site = Site::new("head");
    let directory = site.base.join("site");
    let server = Serve::start(&[
        "--mode=chat",
        "--static",
        directory.to_str().unwrap(),
        "--console-token=off",
        "--metrics",
        "127.0.0.1:0",
    ]);
    let mut program = server.program;
    program.line();
    let metrics = program.line();
    let metrics = metrics.strip_prefix("metrics on http://").unwrap();
    let metrics = metrics.strip_suffix("/metrics").unwrap().to_owned();
    let main = server.address.to_string();
    for (address, path, status) in [
        (&main, "/app.js", 200),
        (&main, "/nowhere", 404),
        (&main, "/console/client.js", 200),
        (&main, "/console/topics.json", 200),
        (&main, "/console/live.json", 200),
        (&metrics, "/metrics", 200),
    ] {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = http::Request::head(format!("http://{address}{path}")).body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = within(response).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let length = &response.headers()["content-length"];
        assert!(length.to_str().unwrap().parse::<u64>().unwrap() > 0, "{path}");
        let mut body = response.into_body();
        assert!(within(body.data()).await.is_none(), "{path}");
        connection.abort();
    }
}

/// Days and months as HTTP has them; the head was read in lower case.
fn titled(text: &str) -> String {
    let mut titled = String::new();
    let mut before = ' ';
    for character in text.chars() {
        let is_first = before == ' ' && !text.starts_with("If-None");
        titled.push(if is_first { character.to_ascii_uppercase() } else { character });
        before = character;
    }
    titled
}

#[test]
fn a_directory_that_is_none_is_an_error() {
    let missing = std::env::temp_dir().join("towline-no-such-directory");
    for path in [missing.to_str().unwrap(), env!("CARGO_BIN_EXE_towline")] {
        let ended = Program::start(&["serve", "--listen=127.0.0.1:0", "--static", path]).end();
        ended.failed(2, &["--static", path]);
    }
}
