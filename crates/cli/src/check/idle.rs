//! How long an idle connection lives, for `--idle`.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::check::doctor::{Doctor, Trouble};
use crate::check::finding::Finding;
use crate::check::frames::{FIN, PING, masked};
use crate::check::talk::{End, Reaction};

/// The longest time between two pings of the second connection.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Holds a connection on which nothing is sent, and then one with pings.
pub(crate) async fn idle(doctor: &mut Doctor, time: Duration) {
    doctor.most += 2;
    let step = doctor.way.step;
    doctor.deadline = Instant::now() + time + 3 * step;
    match silent(doctor, time).await {
        Err(trouble) => doctor.add(trouble.of("idle")),
        Ok((finding, is_ended)) => {
            doctor.add(finding);
            if is_ended {
                doctor.deadline = Instant::now() + time + 3 * step;
                let finding =
                    pinged(doctor, time).await.unwrap_or_else(|trouble| trouble.of("idle-pings"));
                doctor.add(finding);
            }
        }
    }
}

/// The second is whether the connection ended before its time.
async fn silent(doctor: &mut Doctor, time: Duration) -> Result<(Finding, bool), Trouble> {
    let mut talk = doctor.talk().await?;
    let begun = Instant::now();
    let mut reaction = Reaction::default();
    talk.watch(time, &mut reaction, |_| false).await;
    let lived = begun.elapsed();
    let pings = talk.pings;
    let values =
        json!({ "lived_ms": u64::try_from(lived.as_millis()).unwrap_or(u64::MAX), "pings": pings });
    let by_server = match pings {
        0 => "the server sent no ping".to_owned(),
        _ => format!("the server sent {pings} ping(s), which were answered"),
    };
    if let Some(End::Flood) = reaction.end {
        doctor.drop(talk);
        return Ok((Finding::unseen("idle", "the server sends too much to be idle"), false));
    }
    if reaction.is_over() {
        let seen = format!(
            "after {:.1} s of silence the server {}; {by_server}",
            lived.as_secs_f64(),
            reaction.words(talk.step()),
        );
        let advice = match reaction.close {
            Some(_) => {
                "the server ends idle connections: send messages or pings more often than that"
            }
            None => {
                "without a close frame it is mostly a proxy or load balancer between (nginx: proxy_read_timeout, 60 s; \
                     AWS ALB: idle timeout, 60 s): let the server or the client ping more often than that"
            }
        };
        doctor.drop(talk);
        return Ok((Finding::warning("idle", seen).advice(advice).values(values), true));
    }
    let after = talk.probe().await;
    let is_alive = after.goes_on();
    let words = after.words(talk.step());
    doctor.leave(talk).await;
    Ok(match is_alive {
        true => (Finding::ok("idle", format!("an idle connection is alive after {time:?}; {by_server}")).values(values), false),
        false => (
            Finding::warning("idle", format!("after {time:?} of silence a ping was not answered: the server {words}"))
                .advice("something between forgot the connection and told nobody (NAT, a firewall): ping more often")
                .values(values),
            true,
        ),
    })
}

/// The same, with pings.
async fn pinged(doctor: &mut Doctor, time: Duration) -> Result<Finding, Trouble> {
    let mut talk = doctor.talk().await?;
    let every = PING_EVERY.min(time / 4).max(Duration::from_millis(100));
    let begun = Instant::now();
    let mut reaction = Reaction::default();
    while begun.elapsed() < time && !reaction.is_over() {
        talk.send(&masked(FIN | PING, b"keepalive")).await;
        talk.watch(every, &mut reaction, |_| false).await;
    }
    let words = reaction.words(talk.step());
    let is_over = reaction.is_over();
    doctor.leave(talk).await;
    Ok(match is_over {
        false => {
            Finding::ok("idle-pings", format!("with a ping every {every:?} it lives for {time:?}"))
                .advice("set the keepalive of the client or the server to that")
        }
        true => Finding::warning(
            "idle-pings",
            format!(
                "with a ping every {every:?}, after {:.1} s the server {words}",
                begun.elapsed().as_secs_f64()
            ),
        )
        .advice("pings do not count here: send messages, or raise the timeout that ends it"),
    })
}
