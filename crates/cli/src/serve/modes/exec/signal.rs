//! Signals to process groups.

/// A signal that ends processes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Terminate,
    Kill,
}

/// Sends a signal to all processes of a group. It has no effect on one that has ended.
#[cfg(unix)]
pub(crate) fn send(group: u32, signal: Signal) {
    let signal = match signal {
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    if let Some(group) = pid(group) {
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Whether a group has processes, of any user.
#[cfg(unix)]
pub(crate) fn is_alive(group: u32) -> bool {
    pid(group).is_some_and(|group| {
        let tested = rustix::process::test_kill_process_group(group);
        !matches!(tested, Err(rustix::io::Errno::SRCH))
    })
}

/// The id of a group. Zero would be that of this process, and one that of all processes.
#[cfg(unix)]
fn pid(group: u32) -> Option<rustix::process::Pid> {
    let id = i32::try_from(group).ok().filter(|id| *id > 1)?;
    rustix::process::Pid::from_raw(id)
}

#[cfg(not(unix))]
pub(crate) fn send(_: u32, _: Signal) {}

#[cfg(not(unix))]
pub(crate) fn is_alive(_: u32) -> bool {
    false
}
