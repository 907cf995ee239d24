//! The examples, run as a user does. Tests of the relay itself are in `testing/interop`.

#![allow(missing_docs)]

mod nats {
    use std::process::Command;

    /// Three nodes and nginx, one of them killed: its client has a gap, and nobody else.
    #[test]
    #[ignore = "needs nats-server and nginx"]
    fn chat_nodes_come_back_elsewhere() {
        let arguments =
            ["run", "--quiet", "--package", "towline-nats", "--example", "chat_nodes", "demo"];
        let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let count = |words: &str| text.matches(words).count();
        assert_eq!((count("is killed"), count(", then node-")), (1, 1), "{text}");
        assert!(count("all of them") >= 2, "{text}");
    }

    /// One round with few messages: the figures say nothing, but there are some.
    #[test]
    #[ignore = "needs nats-server"]
    #[cfg(target_os = "linux")]
    fn crossing_measures_each_way() {
        let arguments = ["run", "--quiet", "--package", "towline-nats", "--example", "crossing"];
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .args(["--", "--messages", "20000"])
            .output()
            .expect("cargo");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        for way in ["| async-nats, 1 | ", "| towline, 1 | ", "| towline, 100 | "] {
            assert!(text.contains(way), "{text}");
        }
    }
}
