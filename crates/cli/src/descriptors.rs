//! How many descriptors the process may have: each connection takes one.

/// Descriptors that are not for connections: the standard ones, files, timers, those of the runtimes.
const OTHER_DESCRIPTORS: u64 = 64;

/// Allows as many descriptors as this many connections take, as far as the process may.
///
/// # Errors
///
/// How many connections there can be, and the limit.
#[cfg(unix)]
pub(crate) fn allow(connections: u64) -> Result<(), (u64, u64)> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = connections.saturating_add(OTHER_DESCRIPTORS);
    let Some(current) = limit.current.filter(|current| *current < needed) else { return Ok(()) };
    let wanted = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    let allowed = if setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { current };
    if allowed < needed {
        return Err((allowed.saturating_sub(OTHER_DESCRIPTORS), allowed));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn allow(_connections: u64) -> Result<(), (u64, u64)> {
    Ok(())
}

/// Allows as many as the process may, as far as the system lets it.
///
/// Many systems begin with 1024 for the sake of programs that call `select`. This one does not.
#[cfg(unix)]
pub(crate) fn allow_all() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What is not allowed stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(not(unix))]
pub(crate) fn allow_all() {}
