//! Picks an address of a host by connecting: Happy Eyeballs, version 2 (RFC 8305), once the
//! addresses are known.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The most addresses to try.
const MOST_ATTEMPTS: usize = 32;

/// RFC 8305, section 5: "One recommended value for a default delay is 250 milliseconds."
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The addresses in the order to try them (RFC 8305, section 4): the families alternate, beginning
/// with that of the first address; duplicates are dropped.
pub(crate) fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    let is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let unique = addresses.into_iter().filter(|address| seen.insert(*address));
    let (first, second): (Vec<_>, Vec<_>) = unique.partition(|address| address.is_ipv6() == is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            ordered.truncate(MOST_ATTEMPTS);
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

/// The addresses that failed, with the reason for each.
pub(crate) type Failures = Vec<(SocketAddr, io::Error)>;

/// Connects to the address that answers first. Each has a head start of 250 ms over the next, or
/// until it fails. Slow attempts go on until another one succeeds.
pub(crate) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Failures>
where
    F: Future<Output = io::Result<T>>,
{
    let mut race = Race { waiting: addresses.into_iter(), running: Vec::new(), failed: Vec::new() };
    let mut delay = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| race.poll(cx, delay.as_mut(), &connect)).await
}

struct Race<F> {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<(SocketAddr, Pin<Box<F>>)>,
    failed: Failures,
}

impl<T, F: Future<Output = io::Result<T>>> Race<F> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut delay: Pin<&mut Sleep>,
        connect: impl Fn(SocketAddr) -> F,
    ) -> Poll<Result<T, Failures>> {
        let mut failed_before = self.failed.len();
        loop {
            let mut index = 0;
            while let Some((address, attempt)) = self.running.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(won)) => return Poll::Ready(Ok(won)),
                    Poll::Ready(Err(error)) => {
                        self.failed.push((*address, error));
                        self.running.remove(index);
                    }
                    Poll::Pending => index += 1,
                }
            }
            let has_failed = self.failed.len() > failed_before;
            failed_before = self.failed.len();
            let is_due = has_failed || self.running.is_empty();
            if !is_due && delay.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match self.waiting.next() {
                Some(address) => self.running.push((address, Box::pin(connect(address)))),
                None if self.running.is_empty() => {
                    return Poll::Ready(Err(std::mem::take(&mut self.failed)));
                }
                None => return Poll::Pending,
            }
            delay.as_mut().reset(Instant::now() + ATTEMPT_DELAY);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::pending;
    use std::sync::Mutex;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| format!("{address}:80").parse().unwrap()).collect()
    }

    #[test]
    fn the_families_are_tried_by_turns() {
        for (given, expected) in [
            (
                &["[::1]", "[::2]", "1.1.1.1", "[::3]"][..],
                &["[::1]", "1.1.1.1", "[::2]", "[::3]"][..],
            ),
            (&["1.1.1.1", "[::1]", "[::2]"], &["1.1.1.1", "[::1]", "[::2]"]),
            (&["[::1]", "1.1.1.1", "1.1.1.2"], &["[::1]", "1.1.1.1", "1.1.1.2"]),
            (&["1.1.1.1", "1.1.1.1"], &["1.1.1.1"]),
            (&[], &[]),
        ] {
            assert_eq!(by_turns(addresses(given)), addresses(expected), "{given:?}");
        }
    }

    #[test]
    fn both_families_have_a_place_among_many_addresses() {
        let v6 = (0..200u16).map(|last| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, last], 80)));
        let v4 = (0..200u8).map(|last| SocketAddr::from(([10, 0, 0, last], 80)));
        let ordered = by_turns(v6.chain(v4).collect());
        assert_eq!(ordered.len(), MOST_ATTEMPTS);
        assert_eq!(ordered.iter().filter(|address| address.is_ipv4()).count(), MOST_ATTEMPTS / 2);
    }

    /// The behaviour of an address: connects or fails after this many milliseconds, or never answers.
    #[derive(Clone, Copy)]
    enum Does {
        Connects(u64),
        Fails(u64),
        Nothing,
    }

    /// The address that won and after how many milliseconds, and when each was tried.
    async fn run(list: &[(&str, Does)]) -> (Result<SocketAddr, Failures>, u128, Vec<u128>) {
        let began = Instant::now();
        let tried = Mutex::new(Vec::new());
        let hosts: Vec<_> = list.iter().map(|(address, _)| *address).collect();
        let all = addresses(&hosts);
        let winner = race(all.clone(), |address| {
            tried.lock().unwrap().push(began.elapsed().as_millis());
            let does = list[all.iter().position(|one| *one == address).unwrap()].1;
            async move {
                match does {
                    Does::Connects(after) | Does::Fails(after) => {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                    }
                    Does::Nothing => pending().await,
                }
                let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
                if matches!(does, Does::Connects(_)) { Ok(address) } else { Err(refused()) }
            }
        })
        .await;
        (winner, began.elapsed().as_millis(), tried.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_costs_the_delay() {
        let (won, took, tried) =
            run(&[("[::1]", Does::Nothing), ("1.1.1.1", Does::Connects(0))]).await;
        assert_eq!(won.unwrap(), addresses(&["1.1.1.1"])[0]);
        assert_eq!((took, tried), (250, vec![0, 250]));
        let holes = [("[::1]", Does::Nothing), ("1.1.1.1", Does::Nothing)];
        let list = [holes[0], holes[1], ("[::2]", Does::Connects(10))];
        let (won, took, tried) = run(&list).await;
        assert_eq!(won.unwrap(), addresses(&["[::2]"])[0]);
        assert_eq!((took, tried), (510, vec![0, 250, 500]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_answers_in_time_is_the_only_one_tried() {
        let list = [("[::1]", Does::Connects(249)), ("1.1.1.1", Does::Connects(0))];
        let (won, took, tried) = run(&list).await;
        assert_eq!(won.unwrap(), addresses(&["[::1]"])[0]);
        assert_eq!((took, tried), (249, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_next_is_tried_at_once() {
        let list =
            [("[::1]", Does::Fails(0)), ("1.1.1.1", Does::Fails(20)), ("[::2]", Does::Connects(5))];
        let (won, took, tried) = run(&list).await;
        assert_eq!(won.unwrap(), addresses(&["[::2]"])[0]);
        assert_eq!((took, tried), (25, vec![0, 0, 20]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_may_still_win() {
        let list = [("[::1]", Does::Connects(400)), ("1.1.1.1", Does::Connects(300))];
        let (won, took, _) = run(&list).await;
        assert_eq!((won.unwrap(), took), (addresses(&["[::1]"])[0], 400));
        // The failure of the last one does not end the wait for the first.
        let list = [("[::1]", Does::Connects(9000)), ("1.1.1.1", Does::Fails(1))];
        let (won, took, _) = run(&list).await;
        assert_eq!((won.unwrap(), took), (addresses(&["[::1]"])[0], 9000));
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_fail_each_is_told() {
        let list = [("[::1]", Does::Fails(300)), ("1.1.1.1", Does::Fails(10))];
        let (lost, took, tried) = run(&list).await;
        let failed: Vec<_> = lost.unwrap_err().into_iter().map(|(address, _)| address).collect();
        assert_eq!(failed, addresses(&["1.1.1.1", "[::1]"]));
        assert_eq!((took, tried), (300, vec![0, 250]));
        assert!(run(&[]).await.0.unwrap_err().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_loses_is_dropped() {
        struct Held<'a>(&'a Mutex<u32>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let dropped = Mutex::new(0);
        let won = race(addresses(&["[::1]", "1.1.1.1", "[::2]"]), |address| {
            let held = Held(&dropped);
            async move {
                let _held = held;
                if address.ip().to_string() == "::2" { Ok(()) } else { pending().await }
            }
        });
        won.await.unwrap();
        assert_eq!(*dropped.lock().unwrap(), 3);
    }
}
