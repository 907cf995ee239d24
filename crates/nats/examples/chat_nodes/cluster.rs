//! All that runs: a broker, three nodes, and nginx in front. Everything ends with the [`Cluster`].

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How often a port is tried that a program does not listen on yet, and how long in between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Cluster {
    /// The address of nginx.
    pub(crate) front: String,
    pub(crate) nodes: Vec<Node>,
    // The children are killed when they are dropped.
    _nginx: Child,
    _broker: Child,
    _files: Files,
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) child: Child,
    address: String,
}

impl Cluster {
    pub(crate) async fn start(front: Option<String>) -> Result<Self, Box<dyn Error>> {
        let (nats_server, nginx) = (program("nats-server")?, program("nginx")?);
        let port = free_port()?;
        let broker = spawn(Command::new(nats_server).args([
            "--addr",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ]))?;
        wait_for(&format!("127.0.0.1:{port}")).await?;

        let mut nodes = Vec::new();
        for name in ["node-1", "node-2", "node-3"] {
            nodes.push(Node::start(name, &format!("nats://127.0.0.1:{port}")).await?);
        }

        let front = match front {
            Some(address) => address,
            None => format!("127.0.0.1:{}", free_port()?),
        };
        let files = Files::new()?;
        let configuration = files.0.join("nginx.conf");
        std::fs::write(&configuration, nginx_conf(&files.0, &front, &nodes))?;
        let nginx =
            spawn(Command::new(nginx).arg("-p").arg(&files.0).arg("-c").arg(&configuration))?;
        wait_for(&front).await?;
        Ok(Self { front, nodes, _nginx: nginx, _broker: broker, _files: files })
    }
}

impl Node {
    /// Starts this program again, as a node.
    async fn start(name: &str, broker: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["node", name, broker]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.stdin(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().ok_or("the node has no output")?;
        let address = BufReader::new(stdout).lines().next_line().await?;
        let address = address.ok_or_else(|| format!("{name} has ended"))?;
        Ok(Self { name: name.to_owned(), child, address })
    }
}

/// nginx passes WebSockets on to the nodes in turn. A node that does not take a connection is left out
/// for a second, and the connection goes to another one.
fn nginx_conf(files: &Path, front: &str, nodes: &[Node]) -> String {
    let files = files.display();
    let servers: String = nodes
        .iter()
        .map(|node| format!("server {} max_fails=1 fail_timeout=1s;\n        ", node.address))
        .collect();
    format!(
        r#"daemon off;
worker_processes 1;
pid {files}/nginx.pid;
error_log {files}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {files};
    proxy_temp_path {files};
    fastcgi_temp_path {files};
    uwsgi_temp_path {files};
    scgi_temp_path {files};
    upstream nodes {{
        {servers}
    }}
    server {{
        listen {front};
        location / {{
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_connect_timeout 2s;
            # More than Towline's keepalive, which is 20 s and 10 s more.
            proxy_read_timeout 60s;
        }}
    }}
}}
"#
    )
}

/// Files for this run, removed with it.
struct Files(PathBuf);

impl Files {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("towline-chat-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn()
}

/// Finds a program, also where Debian has those of the administrator.
fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(Into::into));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        format!(
            "{name} is not installed. This example needs nginx and nats-server: \
             `apt install nginx nats-server` or `brew install nginx nats-server`"
        )
    })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn wait_for(address: &str) -> Result<(), String> {
    for _ in 0..TRIES {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("nothing listens on {address}"))
}
