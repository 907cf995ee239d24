//! The examples that `--help` prints are run as they are printed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::Authority;
use crate::support::{Program, Serve, read_head};

/// How long an example may run before it is interrupted, as those are that have no end.
const LONG: Duration = Duration::from_secs(3);

/// How long it may take to end then.
const PATIENCE: Duration = Duration::from_secs(60);

/// The commands of the program, without `help`.
fn commands() -> Vec<String> {
    let help = Program::start(&["--help"]).end();
    let lines = help.text().lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The examples in the help of a command.
fn examples(command: &[&str]) -> Vec<String> {
    let help = Program::start(&[command, &["--help"]].concat()).end();
    let lines = help.text().lines().skip_while(|line| *line != "Examples:").skip(1);
    let lines: Vec<_> = lines.take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    // A line that ends with a backslash goes on.
    lines.join("\n").replace("\\\n", "").lines().map(str::to_owned).collect()
}

/// What the examples need: servers, a proxy, and files.
struct Stage {
    directory: PathBuf,
    echo: Serve,
    topics: Serve,
    secure: Serve,
    proxy: SocketAddr,
    root: String,
}

impl Stage {
    fn new() -> Self {
        let authority = Authority::new("Example Root");
        let signed = authority.sign("localhost");
        let directory = std::env::temp_dir().join(format!("towline-help-{}", std::process::id()));
        fs::create_dir_all(directory.join("bin")).unwrap();
        fs::copy(&authority.file, directory.join("root.pem")).unwrap();
        fs::copy(&signed.cert, directory.join("server.pem")).unwrap();
        fs::copy(&signed.key, directory.join("server.key")).unwrap();
        for site in ["site", "novnc"] {
            fs::create_dir_all(directory.join(site)).unwrap();
        }
        fs::write(directory.join("answer.py"), "import sys\nprint(len(sys.stdin.read()))\n")
            .unwrap();
        fs::write(directory.join("app.log"), "started\n").unwrap();
        fs::write(directory.join("photo.jpg"), vec![0xff; 100_000]).unwrap();
        fs::write(directory.join("subscriptions.txt"), "{\"subscribe\":\"a\"}\n").unwrap();
        let program = directory.join("bin/towline");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_towline"), program).unwrap();
        Self {
            echo: Serve::start(&[]),
            topics: Serve::start(&["--mode", "topics"]),
            secure: Serve::start_secure(&[
                "--tls-cert",
                &signed.cert,
                "--tls-key",
                &signed.key,
                "--protocol",
                "any",
                "--origin",
                "https://example.com",
            ]),
            proxy: proxy(),
            root: authority.file.clone(),
            directory,
        }
    }

    /// The example with the addresses of these servers.
    fn here(&self, example: &str) -> String {
        let secure = format!("localhost:{}", self.secure.address.port());
        let mut example = example.to_owned();
        if example.starts_with("towline serve") || example == "towline" {
            example = on_a_free_port(&example);
        }
        for (there, here) in [
            ("ws://127.0.0.1:9001", format!("ws://{}", self.echo.address)),
            ("ws://127.0.0.1:9002", format!("ws://{}", self.topics.address)),
            ("wss://localhost:9001", format!("wss://{secure}")),
            ("wss://staging.example.com", format!("wss://{secure}")),
            ("wss://example.com", format!("wss://{secure}")),
            ("127.0.0.1:3128", self.proxy.to_string()),
            ("--metrics", "--metrics 127.0.0.1:0".to_owned()),
        ] {
            example = example.replace(there, &here);
        }
        example
    }

    /// Runs an example. Interrupts it if it has no end.
    fn run(&self, example: &str) -> Result<(), String> {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        for name in ["all_proxy", "https_proxy", "wss_proxy", "ws_proxy", "NO_COLOR"] {
            command.env_remove(name).env_remove(name.to_ascii_uppercase());
        }
        let mut child = command
            // A failure within a pipe is one.
            .args(["-o", "pipefail", "-c", &self.here(example)])
            .current_dir(&self.directory)
            .env("PATH", format!("{}/bin:{path}", self.directory.display()))
            // The system trusts the servers of the examples.
            .env("SSL_CERT_FILE", &self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that a signal reaches all of a pipe.
            .process_group(0)
            .spawn()
            .unwrap();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let out = thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        let said = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let start = Instant::now();
        let mut is_interrupted = false;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            let signal = match start.elapsed() {
                long if long > LONG + PATIENCE => "KILL",
                long if long > LONG && !is_interrupted => "INT",
                _ => "",
            };
            if !signal.is_empty() {
                is_interrupted = true;
                let group = format!("-{}", child.id());
                Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap();
            }
            thread::sleep(Duration::from_millis(20));
        };
        let _ = out.join().unwrap();
        let said = said.join().unwrap();
        match status.code() {
            Some(0) => Ok(()),
            Some(130) if is_interrupted => Ok(()),
            // Interrupted before it could listen to signals.
            None if is_interrupted && status.signal() == Some(2) => Ok(()),
            code => Err(format!("{example}\n  ended with {code:?}: {said}")),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// `towline serve` on a port that nobody else uses.
fn on_a_free_port(example: &str) -> String {
    let words = example.split(' ');
    let mut example = String::new();
    let mut is_address = false;
    for word in words {
        let word = if is_address { "127.0.0.1:0" } else { word };
        is_address = word == "--listen";
        example = if example.is_empty() { word.to_owned() } else { format!("{example} {word}") };
    }
    if example.contains("--listen") {
        return example;
    }
    // Not at the end: what follows --exec is a command.
    let rest = example.strip_prefix("towline serve").or_else(|| example.strip_prefix("towline"));
    format!("towline serve --listen 127.0.0.1:0{}", rest.unwrap_or_default())
}

/// An HTTP proxy that lets every client through.
fn proxy() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            thread::spawn(move || {
                let head = String::from_utf8(read_head(&mut client)).unwrap();
                let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    address
}

#[test]
fn every_example_of_the_help_runs() {
    let stage = Stage::new();
    let mut failures = Vec::new();
    let mut all = vec![(String::new(), examples(&[]))];
    all.extend(commands().into_iter().map(|command| (command.clone(), examples(&[&command]))));
    assert!(all.iter().any(|(command, _)| command == "connect"), "{all:?}");
    for (command, examples) in &all {
        assert!(!examples.is_empty(), "`towline {command} --help` has no examples");
        for example in examples {
            assert!(example.contains(format!("towline {command}").trim_end()), "{example}");
            failures.extend(stage.run(example).err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Neither in a pipe nor on a terminal of 80 columns.
#[test]
fn no_paragraph_of_the_help_is_wrapped_twice() {
    let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
    for command in commands() {
        let help = Program::start(&[&command, "--help"]).end();
        let lines: Vec<_> = help.text().lines().collect();
        for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| is_text(line))) {
            let word = pair[1].split(' ').next().unwrap();
            let width = pair[0].chars().count() + 1 + word.chars().count();
            assert!(width > 100, "{command}: {pair:?}");
        }
        let codes = lines.iter().skip_while(|line| **line != "Exit codes:");
        for line in codes.skip(1).take_while(|line| line.starts_with(' ')) {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}
