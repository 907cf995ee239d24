//! nginx in front of the server, for HTTP and for HTTPS.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Where Debian installs servers, which is in the search path of root only.
const PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// How long starting and ending take at most.
const LONG: Duration = Duration::from_secs(30);

/// Runs a command in the process group of this shell until standard input is closed, and then ends the
/// group: that happens on request, and when the clients' process dies.
const UNTIL_LET_GO: &str = r#"
    exec 3<&0
    "$@" </dev/null &
    read -r _ <&3
    trap '' TERM
    kill -TERM 0
    wait
"#;

/// nginx, and its workers.
pub(crate) struct Nginx {
    shell: Child,
    directory: TempDir,
    pub(crate) plain: u16,
    pub(crate) secure: u16,
}

impl Nginx {
    /// Starts nginx in front of the server on this port. `None` if it is not installed.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) async fn before(server: u16) -> Result<Option<Self>> {
        let Some(program) = program() else { return Ok(None) };
        let directory = tempfile::tempdir().context("no temporary directory")?;
        // Both are open until both are known, so that they differ.
        let ports = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let [plain, secure] = ports.map(|listener| Ok(listener?.local_addr()?.port()));
        let (plain, secure): (u16, u16) = (plain.map_err(no_port)?, secure.map_err(no_port)?);
        write_files(directory.path(), server, plain, secure)?;
        let log = File::create(directory.path().join("log"))?;
        let shell = Command::new("sh")
            .args(["-c", UNTIL_LET_GO, "sh"])
            .arg(program)
            .arg("-p")
            .arg(directory.path())
            // Before it has read its configuration, it would write to a system log.
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start nginx")?;
        let nginx = Self { shell, directory, plain, secure };
        for port in [plain, secure] {
            nginx.wait_until_it_listens(port).await?;
        }
        Ok(Some(nginx))
    }

    async fn wait_until_it_listens(&self, port: u16) -> Result<()> {
        let until = Instant::now() + LONG;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if Instant::now() > until {
                bail!("nginx does not listen on port {port}:\n{}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Its output so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).trim_end().to_owned()
    }

    /// Ends it with its workers. Dropping it does the same, and does not wait.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub(crate) async fn end(mut self) -> Result<()> {
        drop(self.shell.stdin.take());
        timeout(LONG, self.shell.wait()).await.context("nginx does not end")??;
        Ok(())
    }
}

fn no_port(error: std::io::Error) -> anyhow::Error {
    anyhow::Error::from(error).context("no port for nginx")
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    places.map(|place| place.join("nginx")).find(|program| program.is_file())
}

fn write_files(directory: &Path, server: u16, plain: u16, secure: u16) -> Result<()> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()])?;
    fs::write(directory.join("cert.pem"), cert.pem())?;
    fs::write(directory.join("key.pem"), signing_key.serialize_pem())?;
    let name = directory.to_str().context("the temporary directory is not UTF-8")?;
    fs::write(directory.join("nginx.conf"), configuration(name, server, plain, secure))?;
    Ok(())
}

/// Each connection takes two of nginx's, since it has one to the server as well.
fn configuration(directory: &str, server: u16, plain: u16, secure: u16) -> String {
    format!(
        r#"
        daemon off;
        worker_processes 2;
        pid {directory}/pid;
        error_log stderr error;
        events {{ worker_connections 9000; }}
        http {{
            access_log off;
            client_body_temp_path {directory}/body;
            proxy_temp_path {directory}/proxy;
            fastcgi_temp_path {directory}/fastcgi;
            uwsgi_temp_path {directory}/uwsgi;
            scgi_temp_path {directory}/scgi;
            server {{
                listen 127.0.0.1:{plain} backlog=4096;
                listen 127.0.0.1:{secure} ssl backlog=4096;
                ssl_certificate {directory}/cert.pem;
                ssl_certificate_key {directory}/key.pem;
                location / {{
                    proxy_pass http://127.0.0.1:{server};
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_set_header Host $http_host;
                    # Silent connections are the server's to end.
                    proxy_read_timeout 1h;
                    proxy_send_timeout 1h;
                }}
            }}
        }}
        "#
    )
}
