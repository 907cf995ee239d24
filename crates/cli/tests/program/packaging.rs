//! `towline completions` and `towline man`: what packages have besides the program.

use crate::support::Program;

#[test]
fn every_shell_can_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ended = Program::start(&["completions", shell]).end();
        assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""), "{shell}");
        for word in ["serve", "connect", "completions", "man", "until-idle"] {
            assert!(ended.text().contains(word), "{word} is not in the script for {shell}");
        }
    }
    let ended = Program::start(&["completions", "cmd"]).end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn bash_understands_its_script() {
    let script = Program::start(&["completions", "bash"]).end();
    let completed = |words: &[&str]| {
        let line = words.join(" ");
        let [.., before, current] = words else { panic!("{line}") };
        let at = words.len() - 1;
        let check = format!(
            "{}\ncompopt() {{ :; }}\nCOMP_WORDS=({line} ''); COMP_CWORD={at}; _towline towline '{current}' {before}\n\
             echo \"${{COMPREPLY[@]}}\"",
            script.text()
        );
        let ended = std::process::Command::new("bash").args(["-c", &check]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed(&["towline", "connect", "--repl"]), "--replay");
    // Those of serve, which needs no name.
    assert_eq!(completed(&["towline", "--expo"]), "");
    assert_eq!(completed(&["towline", "--exec-g"]), "--exec-grace");
    assert!(completed(&["towline", "--h"]).contains("--handshake-timeout"));
    // The options of another program.
    assert_eq!(completed(&["towline", "serve", "--exec", "cat", "--exec-g"]), "");
    // An address is no file.
    assert_eq!(completed(&["towline", "serve", "--listen", "src"]), "src");
}

#[test]
fn each_command_has_a_page() {
    let ended = Program::start(&["man"]).end();
    assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""));
    assert!(ended.text().contains(".TH towline 1"), "{}", ended.text());

    let directory = std::env::temp_dir().join(format!("towline-man-{}", std::process::id()));
    let ended = Program::start(&["man", &directory.display().to_string()]).end();
    assert_eq!((ended.code, ended.text(), &ended.stderr[..]), (Some(0), "", ""));
    let page = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    assert!(page("towline.1").contains("towline\\-connect(1)"));
    let connect = page("towline-connect.1");
    for text in ["\\-\\-replay", ".SH DETAILS", ".SH EXIT STATUS\n.nf\n", ".SH EXAMPLES\n.nf\n"] {
        assert!(connect.contains(text), "{text} is not in {connect}");
    }
    page("towline-serve.1");
    let file = directory.join("towline.1").display().to_string();
    Program::start(&["man", &file]).end().failed(2, &[&file, "not a directory"]);
    std::fs::remove_dir_all(&directory).unwrap();
}
