//! `towline serve --exec`.

mod ending;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use towline::{Client, CloseCode, Closed, Connection, Message};

use crate::support::{Program, Serve, ask_from_page, join, next, until, within};

/// A server that runs this script for each connection.
fn start(options: &[&str], script: &str) -> Serve {
    Serve::start(&[options, &["--exec", "sh", "-c", script]].concat())
}

/// How the connection ends, with the messages before that dropped.
async fn end(connection: &mut Connection) -> Closed {
    while let Ok(Some(_)) = within(connection.recv()).await {}
    within(connection.wait_closed()).await
}

fn is_running(id: &str) -> bool {
    // A process that has ended and is not waited for has no command line.
    let line = std::fs::read(Path::new("/proc").join(id).join("cmdline"));
    match line {
        Ok(line) => !line.is_empty(),
        Err(_) if Path::new("/proc/self").exists() => false,
        Err(_) => Command::new("kill").args(["-0", id]).status().unwrap().success(),
    }
}

#[tokio::test]
async fn lines_become_messages_and_messages_lines() {
    let server =
        start(&[], r#"echo ready; while read -r line; do echo "got $line"; done; echo bye"#);
    let mut connection = join(&server, "/").await;
    assert_eq!(next(&mut connection).await, "ready");
    connection.send("one").await.unwrap();
    assert_eq!(next(&mut connection).await, "got one");
    connection.send("Ἑλλάς\r").await.unwrap();
    assert_eq!(next(&mut connection).await, "got Ἑλλάς");
    // No shell reads what is sent.
    let file = std::env::temp_dir().join(format!("towline-was-here-{}", std::process::id()));
    let text = format!("$(touch {}); `id` 'x", file.display());
    connection.send(text.clone()).await.unwrap();
    assert_eq!(next(&mut connection).await, format!("got {text}"));
    assert!(!file.exists());
}

#[tokio::test]
async fn arguments_are_those_of_the_command_line() {
    let server = Serve::start(&["--exec", "printf", "%s\n", "-n", "a b", "$HOME", "--nagle"]);
    let mut connection = join(&server, "/").await;
    for expected in ["-n", "a b", "$HOME", "--nagle"] {
        assert_eq!(next(&mut connection).await, expected);
    }
    let closed = end(&mut connection).await;
    assert_eq!((closed.code(), closed.reason()), (CloseCode::NORMAL, "the command has ended"));
}

#[tokio::test]
async fn the_end_of_the_command_is_the_end_of_the_connection() {
    for (script, code, reason) in [
        ("exit 0", 1000, "the command has ended"),
        ("exit 3", 1011, "the command has ended: exit status: 3"),
        ("kill -SEGV $$", 1011, "the command has ended: signal: 11 (SIGSEGV)"),
        ("printf 'no end of line'", 1000, "the command has ended"),
    ] {
        let server = start(&[], script);
        let mut connection = join(&server, "/").await;
        if script.starts_with("printf") {
            assert_eq!(next(&mut connection).await, "no end of line");
        }
        let closed = end(&mut connection).await;
        assert_eq!(closed.code().get(), code, "{script}: {closed}");
        assert!(closed.reason().starts_with(reason), "{script}: {closed}");
        assert!(closed.is_clean(), "{closed}");
    }
}

#[tokio::test]
async fn everything_that_was_written_goes_before_the_end() {
    let server = start(&[], "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; exit 7");
    let mut connection = join(&server, "/").await;
    for number in 1..=20_000 {
        assert_eq!(next(&mut connection).await, number.to_string());
    }
    assert_eq!(end(&mut connection).await.code().get(), 1011);
}

#[tokio::test]
async fn a_command_that_is_not_there_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = crate::certificates::file("towline-no-such-command", "#!/bin/sh\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = Serve::start(&["--exec", &program, "secret"]);
    // It was there when the server started.
    std::fs::remove_file(&program).unwrap();
    let mut connection = join(&server, "/").await;
    let closed = end(&mut connection).await;
    assert_eq!(
        (closed.code(), closed.reason()),
        (CloseCode::INTERNAL_ERROR, "the command can't be started")
    );
    let line = server.program.error_line();
    assert!(line.contains(&program) && line.contains("--exec"), "{line}");
    assert!(!line.contains("secret"), "{line}");
}

#[tokio::test]
async fn binary_messages_are_bytes() {
    let server = Serve::start(&["--exec-binary", "--exec", "cat"]);
    let mut connection = join(&server, "/").await;
    let sent: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(4000);
    let sender = connection.sender();
    let sending = sent.clone();
    let task = tokio::spawn(async move {
        for part in sending.chunks(70_001) {
            sender.send(part).await.unwrap();
        }
    });
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let message = within(connection.recv()).await.unwrap().unwrap();
        assert!(!message.is_text());
        received.extend_from_slice(message.as_bytes());
    }
    task.await.unwrap();
    assert!(received == sent);
    // Text is bytes, too.
    connection.send("text").await.unwrap();
    let message = within(connection.recv()).await.unwrap().unwrap();
    assert_eq!(message, Message::binary(&b"text"[..]));
}

#[tokio::test]
async fn what_is_no_text_line_is_refused() {
    for (script, code, words) in [
        ("printf 'a\\377b\\n'; cat", 1011, "not UTF-8 (--exec-binary"),
        ("head -c 3000 /dev/zero | tr '\\0' x; cat", 1011, "longer than 1024 bytes (--max-line)"),
        (
            "head -c 1025 /dev/zero | tr '\\0' x; echo; cat",
            1011,
            "longer than 1024 bytes (--max-line)",
        ),
    ] {
        let server = start(&["--max-line=1KiB"], script);
        let closed = end(&mut join(&server, "/").await).await;
        assert_eq!(closed.code().get(), code, "{script}: {closed}");
        assert!(closed.reason().contains(words), "{script}: {closed}");
    }
    let server = start(&["--max-line=1KiB"], "head -c 1024 /dev/zero | tr '\\0' x; echo; cat");
    let mut connection = join(&server, "/").await;
    assert_eq!(next(&mut connection).await.len(), 1024);
    connection.send(&b"binary"[..]).await.unwrap();
    let closed = end(&mut connection).await;
    assert_eq!(closed.code(), CloseCode::UNSUPPORTED_DATA, "{closed}");
}

/// Variables of this program and headers of clients do not get there.
#[tokio::test]
async fn the_environment_is_what_is_documented() {
    let variables = [("SECRET_KEY", "hush"), ("PASSED", "on"), ("LANG", "C"), ("HTTP_PROXY", "x")];
    let arguments = [
        "serve",
        "--listen=127.0.0.1:0",
        "--protocol=p",
        "--exec-env=PASSED",
        "--exec-env=SET=a=b",
        "--exec-env=UNSET_HERE",
        "--exec",
        "env",
    ];
    let mut program = Program::start_with(&variables, &arguments);
    let address = program.line().strip_prefix("listening on ").unwrap().to_owned();
    let client = Client::new()
        .protocols(["p"])
        .header("proxy", "http://evil.example")
        .header("authorization", "Bearer hush");
    let mut connection = client.connect(&format!("ws://{address}/a%20b?c=d&e=()")).await.unwrap();
    let mut lines = Vec::new();
    while let Some(message) = within(connection.recv()).await.unwrap() {
        lines.push(message.as_text().unwrap().to_owned());
    }
    let has =
        |line: &str| assert!(lines.iter().any(|known| known == line), "no {line} in {lines:?}");
    for line in [
        "LANG=C",
        "PASSED=on",
        "SET=a=b",
        "TOWLINE_PATH=/a%20b",
        "TOWLINE_QUERY=c=d&e=()",
        "TOWLINE_PROTOCOL=p",
        "TOWLINE_REMOTE_ADDRESS=127.0.0.1",
    ] {
        has(line);
    }
    let known = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "PASSED",
        "SET",
        "TOWLINE_CONNECTION",
        "TOWLINE_PATH",
        "TOWLINE_QUERY",
        "TOWLINE_PROTOCOL",
        "TOWLINE_REMOTE_ADDRESS",
    ];
    for line in &lines {
        let (name, value) = line.split_once('=').unwrap();
        assert!(known.contains(&name), "{line}");
        assert!(!value.contains("hush") && !value.contains("evil"), "{line}");
    }
}

#[tokio::test]
async fn the_number_of_processes_is_limited() {
    let server = start(&["--max-processes=2", "--exec-grace=100ms"], "echo $$; cat");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = join(&server, "/").await;
        next(&mut connection).await;
        open.push(connection);
    }
    let error = Client::new().connect(&server.url()).await.unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("(--max-processes)"), "{error}");
    // A slot is free when its process is gone.
    within(open.pop().unwrap().close(CloseCode::NORMAL, "")).await.unwrap();
    let mut connection = loop {
        match Client::new().connect(&server.url()).await {
            Ok(connection) => break connection,
            Err(error) => assert!(error.to_string().contains("503"), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    next(&mut connection).await;
}

/// Pages of other origins start nothing.
#[tokio::test]
async fn a_foreign_page_starts_no_command() {
    let file = std::env::temp_dir().join(format!("towline-origin-{}", std::process::id()));
    let server = start(&[], &format!("echo started > '{}'; echo done", file.display()));
    let error =
        Client::new().origin("https://evil.example").connect(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    assert!(!file.exists());
    let mut own = join(&server, "/").await;
    assert_eq!(next(&mut own).await, "done");
    assert!(file.exists());
    std::fs::remove_file(&file).unwrap();
}

/// A page can have the name of its site lead to this machine (DNS rebinding). It then has the server's
/// host and port.
#[tokio::test]
async fn a_page_of_a_rebound_name_starts_no_command() {
    let file = std::env::temp_dir().join(format!("towline-rebound-{}", std::process::id()));
    let script = format!("echo started > '{}'; echo done", file.display());
    let mut server = start(&["-v"], &script);
    let (head, body) = ask_from_page(&server, "evil.example:9001");
    assert!(head.starts_with("http/1.1 403"), "{head}");
    let why = String::from_utf8(body).unwrap();
    assert!(why.contains("evil.example,") && why.contains("(--host)"), "{why}");
    assert!(server.program.error_line().contains("(--host)"));
    assert!(!file.exists());
    // Nor does one of a server that says which pages may connect.
    let listed = start(&["--origin=https://app.example"], &script);
    assert!(ask_from_page(&listed, "evil.example:9001").0.starts_with("http/1.1 403"));
    assert!(!file.exists());
    // Programs have no origin, and pages of known names are the server's own.
    next(&mut join(&server, "/").await).await;
    for host in ["localhost:9001", "192.0.2.1"] {
        let (head, _) = ask_from_page(&server, host);
        assert!(head.starts_with("http/1.1 101"), "{host}: {head}");
    }
    let named = start(&["--host=app.example"], &script);
    assert!(ask_from_page(&named, "app.example").0.starts_with("http/1.1 101"));
    assert!(ask_from_page(&named, "evil.example").0.starts_with("http/1.1 403"));
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn what_the_command_complains_about_is_in_the_log() {
    let script = "printf 'first\\nse\\033[31mcond' >&2; exec 2>&-; cat";
    let mut server = start(&[], script);
    let connection = join(&server, "/").await;
    let line = server.program.error_line();
    assert!(line.starts_with("127.0.0.1:") && line.ends_with(" stderr: first"), "{line}");
    // A terminal is not given orders.
    let line = server.program.error_line();
    assert!(line.ends_with(" stderr: se\\u{1b}[31mcond"), "{line}");
    drop(connection);
}

#[tokio::test]
async fn two_hundred_connections_have_two_hundred_commands() {
    let server = start(&["--threads=2"], "while read -r line; do echo \"$line $$\"; done");
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(join(&server, "/").await);
    }
    let mut ids = std::collections::BTreeSet::new();
    for (number, connection) in all.iter().enumerate() {
        connection.send(number.to_string()).await.unwrap();
    }
    for (number, connection) in all.iter_mut().enumerate() {
        let text = next(connection).await;
        let (echoed, id) = text.split_once(' ').unwrap();
        assert_eq!(echoed, number.to_string());
        ids.insert(id.to_owned());
    }
    assert_eq!(ids.len(), 200);
    drop(all);
    until("ended", || !ids.iter().any(|id| is_running(id))).await;
}

/// Neither the sockets of this program nor those of other connections are the command's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_command_has_no_sockets() {
    let server =
        Serve::start(&["--metrics=127.0.0.1:0", "--exec", "sh", "-c", "ls -l /proc/$$/fd; cat"]);
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(join(&server, "/").await);
    }
    let mut connection = join(&server, "/").await;
    connection.send("end").await.unwrap();
    let mut pipes = 0;
    loop {
        let line = next(&mut connection).await;
        if line == "end" {
            break;
        }
        // Files that were there before this program are not its affair.
        let is_ours = ["socket:", "anon_inode:"].iter().any(|kind| line.contains(kind));
        assert!(!is_ours, "{line}");
        pipes += usize::from(line.contains("pipe:"));
    }
    assert!(pipes >= 3, "{pipes}");
}

#[test]
fn a_command_that_can_not_be_started_is_told_at_once() {
    for (command, word) in [
        ("no-such-command", "PATH"),
        ("/", "directory"),
        ("./nowhere", "no such file"),
        ("", "empty"),
    ] {
        let ended = Program::start(&["serve", "--listen=127.0.0.1:0", "--exec", command]).end();
        ended.failed(2, &["--exec", command, word]);
        assert_eq!(ended.text(), "");
    }
}
