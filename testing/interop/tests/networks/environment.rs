//! Proxies set by the environment. These tests need tinyproxy and microsocks.

use std::net::SocketAddr;

use tokio::process::Command;
use towline_kit::programs::Program;

use crate::bounded::soon;
use crate::certificates::shown;
use crate::microsocks::microsocks;
use crate::program::nobody;
use crate::proxied::{Servers, USER_INFO, keeps_the_secret};
use crate::tinyproxy::tinyproxy;

/// The names of the variables in lower case; upper case is read as well.
const VARIABLES: [&str; 8] = [
    "ws_proxy",
    "wss_proxy",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "socks_proxy",
    "no_proxy",
    "request_method",
];

/// Names and values.
type Variables<'a> = [(&'a str, &'a str)];

/// The way by which the program reached the server.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Tinyproxy,
    Microsocks,
    Direct,
}

struct Scene {
    servers: Servers,
    tinyproxy: (Program, SocketAddr),
    microsocks: (Program, SocketAddr),
}

impl Scene {
    async fn set() -> Self {
        Self { servers: Servers::start().await, tinyproxy: tinyproxy(""), microsocks: microsocks() }
    }

    fn http(&self) -> String {
        format!("http://{USER_INFO}@{}", self.tinyproxy.1)
    }

    fn socks(&self) -> String {
        format!("socks5h://{USER_INFO}@{}", self.microsocks.1)
    }

    /// Runs a client that echoes a message with this server, with this environment only. Returns its
    /// output, and whether it succeeded.
    async fn run(&self, url: &str, environment: &Variables<'_>) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline-interop"));
        for name in VARIABLES {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.envs(environment.iter().copied()).kill_on_drop(true);
        command.args(["client", "echo-text", "--url", url]);
        command.args(["--ca", &shown(&self.servers.authority().root())]);
        let output = soon("the client", command.output()).await.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// Returns the way by which it reached the server with TLS, or the plain one.
    async fn way(&self, secure: bool, environment: &Variables<'_>) -> Way {
        let url = &self.servers.urls()[usize::from(secure)];
        let asked = || {
            let (http, socks) = (self.tinyproxy.0.log(), self.microsocks.0.log());
            [http.matches("CONNECT localhost:").count(), socks.matches("connected to").count()]
        };
        let before = asked();
        let (is_ok, printed) = self.run(url, environment).await;
        assert!(is_ok, "{environment:?}: {printed}");
        let [http, socks] = [0, 1].map(|kind| asked()[kind] - before[kind]);
        match (http, socks) {
            (1, 0) => Way::Tinyproxy,
            (0, 1) => Way::Microsocks,
            (0, 0) => Way::Direct,
            other => panic!("{environment:?}: {other:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs tinyproxy and microsocks"]
async fn the_proxy_of_the_environment_is_used() {
    const SECURE: bool = true;
    const PLAIN: bool = false;
    let scene = Scene::set().await;
    let (http, socks) = (&*scene.http(), &*scene.socks());
    let expected: [(bool, &Variables<'_>, Way); 15] = [
        (SECURE, &[], Way::Direct),
        (SECURE, &[("https_proxy", http)], Way::Tinyproxy),
        (SECURE, &[("HTTPS_PROXY", http)], Way::Tinyproxy),
        (SECURE, &[("http_proxy", http)], Way::Direct),
        (SECURE, &[("all_proxy", socks)], Way::Microsocks),
        (SECURE, &[("ALL_PROXY", http)], Way::Tinyproxy),
        (SECURE, &[("all_proxy", socks), ("https_proxy", http)], Way::Microsocks),
        (SECURE, &[("wss_proxy", http), ("all_proxy", socks)], Way::Tinyproxy),
        (SECURE, &[("socks_proxy", socks), ("https_proxy", http)], Way::Microsocks),
        (PLAIN, &[("http_proxy", http)], Way::Tinyproxy),
        (PLAIN, &[("https_proxy", http)], Way::Tinyproxy),
        (PLAIN, &[("ws_proxy", socks), ("http_proxy", http)], Way::Microsocks),
        (PLAIN, &[("wss_proxy", socks)], Way::Direct),
        (SECURE, &[("https_proxy", http), ("no_proxy", "example.com,localhost")], Way::Direct),
        (SECURE, &[("https_proxy", http), ("NO_PROXY", "10.0.0.0/8")], Way::Tinyproxy),
    ];
    for (secure, environment, way) in expected {
        assert_eq!(scene.way(secure, environment).await, way, "{secure}, {environment:?}");
    }
}

#[tokio::test]
#[ignore = "needs tinyproxy and microsocks"]
async fn what_does_not_work_in_the_environment_is_told_without_the_password() {
    let scene = Scene::set().await;
    let none = format!("http://{USER_INFO}@{}", nobody());
    let mixed_up = format!("http://{USER_INFO}@{}", scene.microsocks.1);
    let no_url = format!("gopher://{USER_INFO}@{}", scene.tinyproxy.1);
    for (value, says) in [(&none, "proxy"), (&mixed_up, "proxy"), (&no_url, "https_proxy")] {
        let (is_ok, printed) = scene.run(&scene.servers.urls()[1], &[("https_proxy", value)]).await;
        println!("{printed}");
        assert!(!is_ok && printed.contains(says), "{printed}");
        keeps_the_secret(&printed);
    }
}
