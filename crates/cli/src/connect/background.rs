//! A job in the background of a shell: its terminal is not its own.

/// Whether standard input is a terminal on which another job is in the foreground. Whoever reads from it then
/// is stopped, and so is a program that changes its mode.
#[cfg(unix)]
pub(crate) fn is_in_background() -> bool {
    use rustix::process::getpgrp;
    use rustix::termios::tcgetpgrp;
    // An error: it is no terminal, or not the one that controls this program, which stops nobody.
    tcgetpgrp(std::io::stdin()).is_ok_and(|foreground| foreground != getpgrp())
}

/// There are no such jobs here.
#[cfg(not(unix))]
pub(crate) fn is_in_background() -> bool {
    false
}
