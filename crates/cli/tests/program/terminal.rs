//! `towline connect` on a terminal.

use std::io::Write as _;
use std::sync::mpsc;

use crate::screen::Screen;
use crate::support::{Program, Serve, accept, peer, read_to_end};

const CONTROL_C: &str = "\u{3}";
const CONTROL_D: &str = "\u{4}";
const CONTROL_Z: &str = "\u{1a}";
const ENTER: &str = "\r";

/// A conversation with an echo server, on a terminal of this width.
fn conversation(columns: u16, variables: &[(&str, &str)]) -> (Serve, Screen) {
    let server = Serve::start(&[]);
    let screen = Screen::start(columns, variables, &["connect", &server.url(), "--timeout=300s"]);
    screen.wait_for(">");
    (server, screen)
}

/// A server that sends these frames, each when the test wants it.
fn pushing(frames: Vec<Vec<u8>>) -> (String, mpsc::Sender<()>) {
    let (push, wanted) = mpsc::channel();
    let url = peer(move |mut stream| {
        accept(&mut stream);
        for frame in frames {
            if wanted.recv().is_err() {
                break;
            }
            stream.write_all(&frame).unwrap();
        }
        read_to_end(stream);
    });
    (url, push)
}

fn text_frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut frame = vec![0x81];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}

#[test]
fn a_line_is_sent_and_the_answer_is_shown_above_the_prompt() {
    let (server, screen) = conversation(80, &[]);
    screen.wait_for(&format!("connected to {}; /help lists the commands", server.url()));
    screen.keys("ahoy\r");
    screen.wait_for("< ahoy");
    let rows = screen.wait(|seen| (seen.cursor().1 == 2).then(|| seen.text()));
    assert_eq!(rows[1..], ["> ahoy", "< ahoy", ">"]);
    screen.keys(CONTROL_D);
    let (code, rows, is_pasting_told) = screen.end();
    assert_eq!(code, Some(0), "{rows:?}");
    let end = rows.last().unwrap();
    assert!(end.starts_with("closed with 1000"), "{rows:?}");
    assert!(!is_pasting_told, "the terminal is left as it was not");
}

#[test]
fn control_c_closes_and_is_code_130() {
    let (_server, screen) = conversation(160, &[]);
    screen.keys("not sent");
    screen.wait_for("> not sent");
    screen.keys(CONTROL_C);
    let (code, rows, is_pasting_told) = screen.end();
    assert_eq!((code, is_pasting_told), (Some(130), false), "{rows:?}");
    assert!(rows.last().unwrap().starts_with("closed with 1001"), "{rows:?}");
}

#[test]
fn output_does_not_disturb_what_is_being_typed() {
    let (url, push) = pushing(vec![text_frame("one"), text_frame("two\nlines")]);
    let screen = Screen::start(80, &[], &["connect", &url]);
    screen.wait_for(">");
    screen.keys("half a li");
    screen.wait_for("> half a li");
    push.send(()).unwrap();
    screen.wait_for("< one");
    screen.wait_for("> half a li");
    screen.keys("ne");
    push.send(()).unwrap();
    let rows = screen.wait(|seen| {
        let is_there = seen.has("  lines") && seen.has("> half a line");
        is_there.then(|| (seen.text(), seen.cursor()))
    });
    assert_eq!(rows.0[1..], ["< one", "< two", "  lines", "> half a line"]);
    assert_eq!(rows.1, (4, 13));
}

#[test]
fn pasted_lines_are_one_message() {
    let (_server, screen) = conversation(80, &[]);
    let lines: Vec<String> = (0..200).map(|number| format!("line {number}")).collect();
    screen.keys(&format!("\u{1b}[200~{}\u{1b}[201~", lines.join("\r")));
    // Nothing is sent before Enter.
    screen.wait(|seen| {
        let is_shown = seen.rows().iter().any(|row| row.contains("line 199"));
        (is_shown && !seen.begins("<")).then_some(())
    });
    screen.keys(ENTER);
    screen.wait_for_start("  … 180 more lines: /show 1");
    screen.keys("/show\r");
    screen.wait_for("  line 199");
}

#[test]
fn a_long_message_is_shortened_and_can_be_seen_whole_and_saved() {
    let long: Vec<String> = (0..40).map(|number| format!("{{\"number\": {number}}}")).collect();
    let json = format!("[{}]", long.join(","));
    let (url, push) = pushing(vec![text_frame(&json)]);
    let screen = Screen::start(60, &[], &["connect", &url]);
    screen.wait_for(">");
    push.send(()).unwrap();
    screen.wait_for("  … 22 more lines: /show 1");
    assert!(screen.wait(|seen| Some(seen.has_colour())));
    screen.keys("/show 1\r");
    screen.wait_for("    {\"number\": 39}");
    let path = std::env::temp_dir().join(format!("towline-show-{}", std::process::id()));
    screen.keys(&format!("/save {}\r", path.display()));
    screen.wait_for_start("saved message 1 to ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), json);
    std::fs::remove_file(&path).unwrap();
    screen.keys("/show 7\r");
    screen.wait_for_start("message 7 is not kept");
}

#[test]
fn a_narrow_terminal_breaks_lines_and_wide_characters_are_whole() {
    let (_server, screen) = conversation(20, &[]);
    screen.keys("1234567890123456世界");
    // The wide character does not fit behind the 18th column.
    screen.wait(|seen| (seen.has("> 1234567890123456世") && seen.cursor().1 == 2).then_some(()));
    screen.wait_for("界");
    screen.keys("\u{7f}\u{7f}");
    screen.wait(|seen| (!seen.has("界") && seen.has("> 1234567890123456")).then_some(()));
    screen.keys("世\r");
    screen.wait_for("< 1234567890123456世");
    screen.keys(CONTROL_D);
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn a_terminal_can_change_its_width_while_a_line_is_typed() {
    let (_server, screen) = conversation(40, &[]);
    screen.keys("one\r");
    screen.wait_for("< one");
    screen.keys("123456789012345678901234567890");
    screen.wait_for("> 123456789012345678901234567890");
    screen.resize(20);
    screen.wait_for("> 123456789012345678");
    screen.wait_for("901234567890");
    screen.keys("x");
    screen.wait_for("901234567890x");
    screen.resize(60);
    screen.wait_for("> 123456789012345678901234567890x");
    screen.wait(|seen| (seen.has("< one") && seen.cursor().1 == 33).then_some(()));
    screen.keys(ENTER);
    screen.wait_for("< 123456789012345678901234567890x");
}

#[test]
fn the_shell_can_suspend_and_continue_it() {
    let server = Serve::start(&[]);
    let shell = Screen::program("bash", 80, &[("PS1", "$ ")], &["--norc", "--noprofile", "-i"]);
    shell.wait_for("$");
    shell.keys(&format!("{} connect {}\r", env!("CARGO_BIN_EXE_towline"), server.url()));
    shell.wait_for(">");
    shell.keys("dra");
    shell.wait_for("> dra");
    for _ in 0..2 {
        shell.keys(CONTROL_Z);
        shell.wait_for_start("[1]+  Stopped");
        shell.keys("clear; echo in the shell\r");
        shell.wait_for("in the shell");
        shell.keys("fg\r");
        // The line that was being typed is there again.
        shell.wait_for("> dra");
    }
    shell.keys("ft\r");
    shell.wait_for("< draft");
    shell.keys(CONTROL_D);
    shell.wait_for_start("closed with 1000");
    shell.keys("echo $?; echo the shell echoes\r");
    shell.wait_for("the shell echoes");
    shell.wait_for("0");
}

#[test]
fn there_are_no_colours_where_they_are_not_wanted() {
    for (variables, options, is_coloured) in [
        (&[][..], &[][..], true),
        (&[("NO_COLOR", "1")], &[], false),
        (&[], &["--color", "never"], false),
        (&[("NO_COLOR", "1")], &["--color", "always"], true),
    ] {
        let server = Serve::start(&[]);
        let url = server.url();
        let arguments = [&["connect", &url[..]], options].concat();
        let screen = Screen::start(80, variables, &arguments);
        screen.wait_for(">");
        screen.keys("[1]\r");
        screen.wait_for("< [1]");
        let has_colour = screen.wait(|seen| Some(seen.has_colour()));
        assert_eq!(has_colour, is_coloured, "{variables:?} {options:?}");
    }
}

#[test]
fn a_dumb_terminal_gets_lines_and_no_codes() {
    let server = Serve::start(&[]);
    let screen = Screen::start(80, &[("TERM", "dumb")], &["connect", &server.url()]);
    screen.wait_for_start("connected to ");
    screen.keys("{\"a\":1}\n");
    screen.wait_for("< {\"a\": 1}");
    screen.keys("/ping hi\n");
    screen.wait_for_start("pong \"hi\" after ");
    screen.keys("/close 4001 bye\n");
    screen.wait_for_start("closed with 4001");
    screen.wait(|seen| (!seen.bytes.contains(&0x1b)).then_some(()));
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn tab_completes_commands() {
    let (_server, screen) = conversation(80, &[]);
    screen.keys("/pi\thi\r");
    screen.wait_for("> /ping hi");
    screen.wait_for_start("pong \"hi\" after ");
}

#[test]
fn earlier_lines_are_searched() {
    let (_server, screen) = conversation(80, &[]);
    screen.keys("first ahoy\r");
    screen.wait_for("< first ahoy");
    screen.keys("second\r");
    screen.wait_for("< second");
    screen.keys("\u{12}ah");
    screen.wait_for("search \"ah\": first ahoy");
    screen.keys(ENTER);
    let rows = screen.wait(|seen| (seen.text().len() == 8).then(|| seen.text()));
    assert_eq!(rows[5..], ["> first ahoy", "< first ahoy", ">"], "{rows:?}");
}

#[test]
fn the_server_takes_the_prompt_away() {
    let (url, push) = pushing(vec![b"\x88\x02\x03\xe9".to_vec()]);
    let screen = Screen::start(160, &[], &["connect", &url]);
    screen.wait_for(">");
    screen.keys("half");
    screen.wait_for("> half");
    push.send(()).unwrap();
    let (code, rows, is_pasting_told) = screen.end();
    assert_eq!((code, is_pasting_told), (Some(0), false), "{rows:?}");
    assert!(rows.last().unwrap().starts_with("closed by the server with 1001"), "{rows:?}");
    assert!(!rows.iter().any(|row| row.contains("half")), "{rows:?}");
}

#[test]
fn a_job_in_the_background_leaves_the_terminal_alone() {
    let server = Serve::start(&["--mode", "topics"]);
    let (url, program) = (server.url(), env!("CARGO_BIN_EXE_towline"));
    let line = format!("set -m; '{program}' connect {url} --subscribe room/7 & wait");
    let screen = Screen::program("bash", 80, &[], &["-c", &line]);
    // Until the subscription stands, nothing is delivered.
    let publish = || {
        let arguments = [&url, "--publish", "room/7", "--message", "ship ahoy"];
        let ended = Program::connect(&arguments).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    for _ in 0..600 {
        publish();
        let is_there = screen.wait(|seen| Some(seen.begins("room/7: ship ahoy")));
        if is_there {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    screen.wait_for_start("room/7: ship ahoy");
    let rows = screen.wait(|seen| Some(seen.text()));
    assert!(!rows.iter().any(|row| row.starts_with('>')), "{rows:?}");
    server.program.signal("TERM");
    let (_, rows, _) = screen.end();
    assert!(!rows.iter().any(|row| row.contains("Stopped")), "{rows:?}");
}

#[test]
fn control_c_in_a_flood_says_how_to_end_at_once() {
    let url = peer(|mut stream| {
        accept(&mut stream);
        let frame = text_frame("flood").repeat(100);
        while stream.write_all(&frame).is_ok() {}
    });
    let screen = Screen::start(80, &[], &["connect", &url, "--close-timeout=300s"]);
    screen.wait_for("< flood");
    screen.keys("half a line");
    screen.keys(CONTROL_C);
    screen.wait_for_start("closing; press Ctrl-C again to end at once");
    screen.keys("typed");
    screen.keys(CONTROL_C);
    let (code, rows, _) = screen.end();
    assert_eq!(code, Some(130), "{rows:?}");
    assert!(!rows.iter().any(|row| row.contains("typed")), "{rows:?}");
}
