//! Which programs this machine has.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where Debian installs servers, which is in the search path of root only.
const PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Returns the search path with the places of servers, and with this directory in front.
pub(crate) fn path(first: Option<&Path>) -> OsString {
    let usual = env::var_os("PATH").unwrap_or_default();
    let first = first.map(Path::to_owned).into_iter();
    let all = first.chain(env::split_paths(&usual)).chain(PLACES.map(PathBuf::from));
    // A directory of the search path has no colon in its name.
    env::join_paths(all).unwrap_or(usual)
}

pub(crate) fn has(program: &str) -> bool {
    env::split_paths(&path(None)).any(|directory| directory.join(program).is_file())
}
