use crate::program::{Program, connect, example, hear_until};

/// The kernel gives each connection to one of the threads. The room is one.
#[tokio::test]
async fn members_on_all_threads_are_in_one_room() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let cores = Program::start(example!("cores"), &[&address]).await;
    let mut members = Vec::new();
    for name in 0..8 {
        // The first threads listen before the line is printed, or soon after.
        let mut member = connect(&cores.url("/harbour")).await;
        let here = format!("{name} is here");
        member.send(here.as_str()).await.unwrap();
        hear_until(&mut member, &here).await;
        members.push(member);
    }
    members[3].send("ahoy").await.unwrap();
    for member in &mut members {
        hear_until(member, "ahoy").await;
    }
}
