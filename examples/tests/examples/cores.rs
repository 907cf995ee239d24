#[cfg(target_os = "linux")]
use crate::program::run;
use crate::program::{Program, client, connect, example, hear_until, refusal};

/// The kernel gives each connection to one of the threads. The room is one.
#[tokio::test]
async fn members_on_all_threads_are_in_one_room() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let cores = Program::start(example!("cores"), &[&address]).await;
    let mut members = Vec::new();
    for name in 0..8 {
        let mut member = connect(&cores.url("/harbour")).await;
        let here = format!("{name} is here");
        member.send(here.as_str()).await.unwrap();
        hear_until(&mut member, &here).await;
        members.push(member);
    }
    assert_eq!(refusal(&client(), &cores.url("/desert")).await.0, 404);
    members[3].send("ahoy").await.unwrap();
    for member in &mut members {
        hear_until(member, "ahoy").await;
    }
}

/// All threads have what they need, or the program ends with the reason.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thread_that_cannot_listen_ends_the_program() {
    // Most of the time enough descriptors for the first thread, and never for all.
    let threads = std::thread::available_parallelism().unwrap().get();
    for descriptors in 6..6 + 3 * threads {
        let script = format!("ulimit -n {descriptors} && exec \"$0\" 127.0.0.1:0");
        let output = run("sh", &["-c", &script, example!("cores")]).await;
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("Too many open files"), "{descriptors} descriptors: {error}");
        assert!(output.stdout.is_empty());
    }
}
