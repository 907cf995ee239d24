//! What a load test shows on a terminal.

use crate::screen::Screen;
use crate::support::Serve;

/// Such as one of a container, or of a serial line.
#[test]
fn a_terminal_that_does_not_tell_its_size_shows_the_progress() {
    let server = Serve::start(&[]);
    let screen = Screen::start(0, &[], &["bench", &server.url(), "-c", "1", "-d", "10m"]);
    screen.wait_for_start("[");
}

#[test]
fn a_dumb_terminal_gets_the_results_and_no_codes() {
    let server = Serve::start(&[]);
    let arguments = ["bench", &server.url(), "-c", "1", "-n", "10"];
    let screen = Screen::start(200, &[("TERM", "dumb")], &arguments);
    screen.wait_for_start("connections  1 opened");
    screen.wait(|seen| (!seen.bytes.contains(&0x1b)).then_some(()));
    assert_eq!(screen.end().0, Some(0));
}
