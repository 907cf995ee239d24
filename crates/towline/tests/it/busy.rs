//! A program that is busy with what it has received is not taken for dead by a peer that counts
//! nothing but pongs: pings that lie unread meanwhile are answered.

use std::time::Duration;

use tokio::time::sleep;
use towline::{Config, Opcode, Role};
use towline_kit::{Heard, frame};

use crate::wire::{Far, connect, settle};

const SECOND: Duration = Duration::from_secs(1);

/// The pings and the pongs of the keepalive's own are no matter here.
fn pongs(heard: &[Heard]) -> usize {
    let is_pong = |heard: &&Heard| heard.opcode() == Opcode::Pong && heard.payload == b"?";
    heard.iter().filter(is_pong).count()
}

/// Roles, and whether the message comes in two reads.
fn cases() -> [(Role, bool); 4] {
    [Role::Server, Role::Client]
        .map(|role| [false, true].map(|in_two| (role, in_two)))
        .concat()
        .try_into()
        .unwrap()
}

/// Says the message that the program is going to be busy with, in one read or in two.
async fn says_work(far: &Far, in_two: bool) {
    let bytes = frame().binary(vec![7; 1000]).by(far.role()).bytes();
    let (first, second) = bytes.split_at(if in_two { 500 } else { 0 });
    if in_two {
        far.says_bytes(first.to_vec());
        settle().await;
    }
    far.says_bytes(second.to_vec());
    settle().await;
}

/// What the keepalive asked first was answered, and the program goes on to wait.
const OPEN_FOR: Duration = Duration::from_secs(21);

#[tokio::test(start_paused = true)]
async fn pings_that_lie_unread_are_answered_in_time_and_once() {
    for (role, in_two) in cases() {
        for began in 0..10 {
            let (mut connection, far) = connect(role, &Config::server());
            let busy = tokio::spawn(async move {
                connection.recv().await.unwrap().unwrap();
                std::future::pending::<()>().await;
                drop(connection);
            });
            sleep(OPEN_FOR).await;
            far.says(frame().pong(""));
            sleep(began * SECOND).await;
            says_work(&far, in_two).await;
            for round in 0..10 {
                let what = format!("{role:?}, in two reads: {in_two}, {began} s, ping {round}");
                far.says(frame().ping("?"));
                sleep(10 * SECOND).await;
                assert_eq!(pongs(&far.hears()), 1, "{what}");
                sleep(10 * SECOND).await;
                assert_eq!(pongs(&far.hears()), 0, "{what}");
            }
            busy.abort();
        }
    }
}
