//! A dialogue with a program over its standard input and output.

use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::bounded::soon;

/// `openssl`, whose output goes through `sh` so that all of it comes in one stream.
pub(crate) struct Dialogue {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    heard: Vec<u8>,
}

impl Dialogue {
    pub(crate) fn with_openssl<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", "exec openssl \"$@\" 2>&1", "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, stdin, stdout, heard: Vec::new() }
    }

    pub(crate) async fn says(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes.as_ref()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Waits until the output contains this, and returns all of it.
    pub(crate) async fn hears(&mut self, awaited: impl AsRef<[u8]>) -> String {
        let awaited = awaited.as_ref();
        let is_there = |heard: &[u8]| heard.windows(awaited.len()).any(|part| part == awaited);
        let shown = String::from_utf8_lossy(awaited).into_owned();
        while !is_there(&self.heard) {
            let count = soon(&shown, self.stdout.read_buf(&mut self.heard)).await.unwrap();
            assert!(count > 0, "{shown:?} is not in what it says:\n{}", self.shown());
        }
        self.shown()
    }

    /// Closes its input, waits until it has ended, and returns all output.
    pub(crate) async fn ends(mut self) -> (ExitStatus, String) {
        drop(self.stdin.take());
        soon("all of it", self.stdout.read_to_end(&mut self.heard)).await.unwrap();
        (soon("its end", self.child.wait()).await.unwrap(), self.shown())
    }

    /// Kills it, without a close_notify to the peer.
    pub(crate) async fn dies(mut self) {
        soon("its end", self.child.kill()).await.unwrap();
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}
