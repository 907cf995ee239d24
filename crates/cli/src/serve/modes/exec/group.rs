//! The process group of a command: signals reach what the command has started, too.

use std::collections::HashSet;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::serve::modes::exec::ending::Endings;
use crate::serve::modes::exec::signal::{Signal, is_alive, send};

/// How long a command may take to end by itself, once its input has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often to look whether a group has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The groups that are running. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups(Arc<Mutex<HashSet<u32>>>);

/// A command that is running, and everything in its process group. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Group {
    groups: Groups,
    /// The id of the command's process and of the group.
    id: u32,
    pub(crate) child: Child,
    endings: Endings,
    grace: Duration,
    is_over: bool,
}

impl Groups {
    /// Starts a command in a group of its own, with pipes. It may take `grace` to end after SIGTERM.
    pub(crate) fn start(&self, command: &mut Command, grace: Duration) -> io::Result<Group> {
        #[cfg(unix)]
        command.process_group(0);
        let endings = Endings::listen()?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // It has not been waited for, so it has an id.
        let id = child.id().unwrap_or_default();
        self.lock().insert(id);
        Ok(Group { groups: self.clone(), id, child, endings, grace, is_over: false })
    }

    /// Kills all of them, when there is no time to wait.
    pub(crate) fn kill_all(&self) {
        for id in self.lock().drain() {
            send(id, Signal::Kill);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Waits for the end of the command's process. Its id stays taken until [`end`](Self::end) or the drop,
    /// so that signals to the group reach no other process.
    pub(crate) async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.endings.of(&mut self.child).await
    }

    /// Ends what the command has left behind when it ended. Nothing tells whether that is anything, as the
    /// command's own process still counts as one of the group. Signals have no effect on it.
    pub(crate) async fn end_stragglers(&self) {
        sleep(PATIENCE).await;
        send(self.id, Signal::Terminate);
        sleep(self.grace).await;
        send(self.id, Signal::Kill);
    }

    /// Ends the group: waits for a moment, as the end of its input is enough for most commands, then
    /// sends SIGTERM, and SIGKILL after the grace. Returns when the command's process is gone.
    pub(crate) async fn end(mut self) {
        if !self.is_gone_within(PATIENCE).await {
            send(self.id, Signal::Terminate);
            if !self.is_gone_within(self.grace).await {
                send(self.id, Signal::Kill);
                // Elsewhere than on Unix, there is no group.
                let _ = self.child.start_kill();
                let _ = self.child.wait().await;
            }
        }
        self.is_over = true;
    }

    /// Waits for the end of the command, and of all others in its group.
    async fn is_gone_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        if timeout(limit, self.child.wait()).await.is_err() {
            return false;
        }
        self.is_empty_within(until.saturating_duration_since(Instant::now())).await
    }

    /// Waits for the end of all in the group, once the command has been reaped. A group that is empty gets no
    /// more signals, since its id can become another's.
    async fn is_empty_within(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while is_alive(self.id) {
            if Instant::now() >= until {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.groups.lock().remove(&self.id) && !self.is_over {
            send(self.id, Signal::Kill);
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// No signal is waited for in vain.
    const GRACE: Duration = Duration::from_secs(30);

    fn sh(groups: &Groups, script: &str) -> Group {
        groups.start(Command::new("sh").args(["-c", script]), GRACE).unwrap()
    }

    /// Otherwise, a signal to a group that has ended could reach another one.
    #[tokio::test]
    async fn the_id_of_a_group_is_taken_until_it_is_dropped() {
        let groups = Groups::default();
        let mut group = sh(&groups, "exit 3");
        let id = group.id();
        for _ in 0..2 {
            assert_eq!(group.exited().await.unwrap().code(), Some(3));
            assert!(is_alive(id));
        }
        group.end().await;
        assert!(!is_alive(id));

        let mut group = sh(&groups, "exit 0");
        let id = group.id();
        assert!(group.exited().await.unwrap().success());
        groups.kill_all();
        assert!(is_alive(id));
        drop(group);
        assert!(!is_alive(id));
    }

    #[tokio::test]
    async fn the_status_is_that_of_waiting() {
        for (script, code, signal) in [
            ("exit 0", Some(0), None),
            ("exit 255", Some(255), None),
            ("kill -KILL $$", None, Some(9)),
            ("kill -TERM $$", None, Some(15)),
        ] {
            let mut group = sh(&Groups::default(), script);
            let status = group.exited().await.unwrap();
            assert_eq!((status.code(), status.signal()), (code, signal), "{script}");
            assert_eq!(status, group.child.wait().await.unwrap(), "{script}");
        }
    }

    #[tokio::test]
    async fn many_that_end_at_once_are_all_seen() {
        let groups = Groups::default();
        let mut started: Vec<_> = (0..20).map(|_| sh(&groups, "read -r _; exit 7")).collect();
        for group in &mut started {
            drop(group.child.stdin.take());
        }
        for group in &mut started {
            assert_eq!(group.exited().await.unwrap().code(), Some(7));
        }
    }
}
