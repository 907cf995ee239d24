//! Processes of the program, and peers made by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use towline::OriginPolicy;
use towline_proto::handshake::{Accept, HeadLimits, Offer, encode_response, parse_request};

/// A running program; it ends with the test.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<BufReader<ChildStdout>>,
    pub(crate) stderr: BufReader<ChildStderr>,
}

/// What a program that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// What would have the program connect through a proxy. A test sets what it is about.
const PROXY_VARIABLES: [&str; 7] =
    ["wss_proxy", "ws_proxy", "socks_proxy", "all_proxy", "https_proxy", "http_proxy", "no_proxy"];

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(&[], arguments)
    }

    /// With these variables in its environment.
    pub(crate) fn start_with(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Self::command(env!("CARGO_BIN_EXE_towline"));
        command.envs(variables.iter().copied()).args(arguments);
        Self::spawn(command)
    }

    /// With the limit that these words give to `ulimit`.
    #[cfg(unix)]
    pub(crate) fn start_within(limit: &str, arguments: &[&str]) -> Self {
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        let mut command = Self::command("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_towline")]).args(arguments);
        Self::spawn(command)
    }

    fn command(program: &str) -> Command {
        let mut command = Command::new(program);
        for name in PROXY_VARIABLES {
            command.env_remove(name).env_remove(name.to_ascii_uppercase());
        }
        command.env_remove("TOWLINE_CONSOLE_TOKEN");
        command
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
        }
    }

    /// `towline connect`, which does not outlive a test that hangs.
    pub(crate) fn connect(arguments: &[&str]) -> Self {
        Self::start(&[&["connect", "--timeout=60s"], arguments].concat())
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        next_line(self.stdout.as_mut().unwrap())
    }

    /// The next line of standard error.
    pub(crate) fn error_line(&mut self) -> String {
        next_line(&mut self.stderr)
    }

    /// Reads lines of standard output until one is wanted.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, is_wanted: impl Fn(&str) -> bool) {
        wait_for_line(self.stdout.as_mut().unwrap(), is_wanted);
    }

    /// Reads lines of standard error until one is wanted.
    #[track_caller]
    pub(crate) fn wait_for_error(&mut self, is_wanted: impl Fn(&str) -> bool) {
        wait_for_line(&mut self.stderr, is_wanted);
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, and reads nothing. Returns the exit code.
    #[cfg(unix)]
    pub(crate) async fn code(&mut self) -> Option<i32> {
        for _ in 0..3000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("it goes on");
    }

    /// Waits for the end, with nothing more on standard input.
    pub(crate) fn end(self) -> Ended {
        self.feed(Vec::new())
    }

    /// Waits for the end, while standard input stays open: it is the peer that ends it.
    pub(crate) fn end_by_peer(mut self) -> Ended {
        let stdin = self.stdin.take();
        let ended = self.end();
        drop(stdin);
        ended
    }

    /// Waits for the end, with this on standard input.
    pub(crate) fn feed(mut self, input: Vec<u8>) -> Ended {
        let stdin = self.stdin.take();
        let writer = thread::spawn(move || {
            // A program that does not read its input is no error here.
            let _ = stdin.map(|mut stdin| stdin.write_all(&input));
        });
        let mut stdout = Vec::new();
        if let Some(mut rest) = self.stdout.take() {
            rest.read_to_end(&mut stdout).unwrap();
        }
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        writer.join().unwrap();
        let code = ExitStatus::code(&self.child.wait().unwrap());
        Ended { code, stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[track_caller]
fn wait_for_line(from: &mut impl BufRead, is_wanted: impl Fn(&str) -> bool) {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        let read = from.read_line(&mut seen).unwrap();
        assert_ne!(
            read, 0,
            "the program ended, and none of its lines was the wanted one: {seen:?}"
        );
        if is_wanted(seen[start..].trim_end()) {
            return;
        }
    }
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Whether it ended with this code, and one line that has all of these words.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word} is not in {self:?}");
        }
    }
}

/// `towline serve` on a port of its own.
pub(crate) struct Serve {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    /// That of the console, if it has printed one.
    pub(crate) token: String,
}

impl Serve {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_for("http", arguments)
    }

    /// One that speaks TLS; its next line of output is about the certificate.
    pub(crate) fn start_secure(arguments: &[&str]) -> Self {
        Self::start_for("https", arguments)
    }

    fn start_for(scheme: &str, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut program = Program::start(&arguments);
        let line = program.line();
        let address = line.strip_prefix("listening on ").and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line:?}: {}", program.error_line()));
        let line = program.line();
        let open = format!("open {scheme}://{address}/");
        let fragment = line.strip_prefix(&open).and_then(|rest| rest.strip_suffix(" in a browser"));
        let fragment = fragment.unwrap_or_else(|| panic!("{line:?}"));
        let token = fragment.strip_prefix("#token=").unwrap_or(fragment).to_owned();
        Self { program, address, token }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    pub(crate) fn secure_url(&self) -> String {
        format!("wss://{}/", self.address)
    }
}

/// The address of a server that treats its one client like this.
pub(crate) fn peer(behave: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || behave(listener.accept().unwrap().0));
    format!("ws://{address}/")
}

/// Reads the head of a request.
pub(crate) fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    head
}

/// Accepts a handshake as any server would.
pub(crate) fn accept(stream: &mut TcpStream) {
    let head = read_head(stream);
    accept_head(stream, &head);
}

/// Accepts a handshake of which the request is read.
pub(crate) fn accept_head(stream: &mut TcpStream, head: &[u8]) {
    let (request, _) = parse_request(head, &HeadLimits::default()).unwrap().unwrap();
    let offer = Offer::from_request(&request).unwrap();
    let (response, _) = offer.accept(&Accept::new(), &OriginPolicy::Any).unwrap();
    let mut answer = Vec::new();
    encode_response(&response, &mut answer);
    stream.write_all(&answer).unwrap();
}

/// Waits until the client has gone.
pub(crate) fn read_to_end(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The head and the body of the answer to a request: its line, and headers after a line feed.
pub(crate) fn ask(server: &Serve, request: &str) -> (String, Vec<u8>) {
    let host = format!("Host: {}\r\n", server.address);
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let host = if headers.starts_with("Host:") { "" } else { &host };
    let mut stream = TcpStream::connect(server.address).unwrap();
    let text = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    stream.write_all(headers.as_bytes()).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let head = String::from_utf8(read_head(&mut stream)).unwrap().to_ascii_lowercase();
    let mut body = Vec::new();
    stream.read_to_end(&mut body).unwrap();
    (head, body)
}

/// As [`ask`], with the token of the console.
pub(crate) fn ask_with_token(server: &Serve, request: &str) -> (String, Vec<u8>) {
    let between = if request.contains('\n') { "\r\n" } else { "\n" };
    ask(server, &format!("{request}{between}X-Towline-Console: {}", server.token))
}

/// The answer to a handshake from a page of this host (`host[:port]`), which is also the host that it
/// asks for.
pub(crate) fn ask_from_page(server: &Serve, host: &str) -> (String, Vec<u8>) {
    ask(
        server,
        &format!(
            "GET /\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        ),
    )
}

/// A header of an answer.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

/// The next message, as text. A test that waits in vain fails.
pub(crate) async fn next(connection: &mut towline::Connection) -> String {
    within(connection.recv()).await.unwrap().expect("closed").as_text().unwrap().to_owned()
}

/// Waits for something that comes, or fails.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(60), future).await.expect("waits in vain")
}

/// Waits until this is true, or fails.
pub(crate) async fn until(what: &str, is_true: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not {what}");
}

/// Connects to a server, in this test.
pub(crate) async fn join(server: &Serve, path: &str) -> towline::Connection {
    towline::Client::new().connect(&format!("ws://{}{path}", server.address)).await.unwrap()
}
