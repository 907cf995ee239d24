//! nginx in front of a server, for HTTP and for HTTPS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{Program, find};

/// nginx and its workers, which end when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    program: Program,
    /// The address for plain HTTP.
    pub plain: SocketAddr,
    /// The address for TLS.
    pub secure: SocketAddr,
}

/// How nginx is configured.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The file of its certificate chain.
    pub chain: &'a Path,
    /// The file of the certificate's key.
    pub key: &'a Path,
    /// The number of worker processes.
    pub workers: usize,
    /// The connections of each worker. One that is passed on is two.
    pub connections: usize,
    /// The least severe level that is logged.
    pub level: &'a str,
    /// Lines for the server of both addresses. `SECURE_PORT` stands for the port for TLS.
    pub server: String,
    /// Lines for the path `/`.
    pub location: String,
}

impl<'a> Options<'a> {
    /// Returns options for a few connections, with this certificate.
    pub fn new(chain: &'a Path, key: &'a Path) -> Self {
        Self {
            chain,
            key,
            workers: 1,
            connections: 256,
            level: "notice",
            server: String::new(),
            location: String::new(),
        }
    }
}

impl Nginx {
    /// Starts nginx in front of `upstream`, a URL.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn before(upstream: &str, options: &Options<'_>) -> Self {
        let (program, [plain, secure]) = Program::listening(|directory, addresses| {
            let configuration = configuration(directory, addresses, upstream, options);
            fs::write(directory.join("nginx.conf"), configuration).expect("a file");
            command(directory)
        });
        Self { program, plain, secure }
    }

    /// Returns the URL of its path `/` for plain HTTP, and the one for TLS.
    pub fn urls(&self) -> [String; 2] {
        [format!("ws://{}/", self.plain), format!("wss://{}/", self.secure)]
    }

    /// Reloads its configuration, and waits until it has new workers.
    ///
    /// # Panics
    ///
    /// Panics if it does not, or does not log notices.
    pub fn reload(&self) {
        let command = command(self.program.directory());
        let status = Command::new(find("nginx").expect("nginx runs"))
            .args(&command[1..])
            .args(["-s", "reload"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("nginx runs");
        assert!(status.success(), "nginx does not reload: {status}");
        self.program.wait_for("gracefully shutting down");
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }
}

fn command(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().expect("a path in UTF-8");
    // Before it has read its configuration, it would write to a system log.
    ["nginx", "-p", directory, "-c", "nginx.conf", "-e", "stderr"].map(str::to_owned).to_vec()
}

fn configuration(
    directory: &Path,
    [plain, secure]: [SocketAddr; 2],
    upstream: &str,
    Options { chain, key, workers, connections, level, server, location }: &Options<'_>,
) -> String {
    let [directory, chain, key] = [directory, chain, key].map(Path::display);
    let server = server.replace("SECURE_PORT", &secure.port().to_string());
    format!(
        r#"
        daemon off;
        worker_processes {workers};
        pid {directory}/pid;
        error_log stderr {level};
        events {{ worker_connections {connections}; }}
        http {{
            access_log off;
            client_body_temp_path {directory}/body;
            proxy_temp_path {directory}/proxy;
            fastcgi_temp_path {directory}/fastcgi;
            uwsgi_temp_path {directory}/uwsgi;
            scgi_temp_path {directory}/scgi;
            server {{
                listen {plain} backlog=4096;
                # HTTP/2 as well: a client of WebSockets must not agree on it.
                listen {secure} ssl http2 backlog=4096;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {chain};
                ssl_certificate_key {key};
                {server}
                location / {{
                    proxy_pass {upstream};
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;
                    {location}
                }}
            }}
        }}
        "#
    )
}
