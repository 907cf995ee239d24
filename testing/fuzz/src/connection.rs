//! A client and a server on tokio, over a transport that is short, not ready, or fails; with
//! futures that are dropped, kept and not polled, and polled by other tasks.
//!
//! - A message whose `send` returned is received whole and once, unless the transport failed or an
//!   end gave up. One whose `send` was dropped or failed is received once at the most.
//! - A message whose `send` returned before that of another began is received before it.
//! - The same holds for messages that are sent while they are written, and received while they
//!   arrive.
//! - What waits to be sent goes out once the other end receives.
//! - Everything ends: each receiver sees the end, and each future is done.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinSet, LocalSet};
use tokio::time;
use towline::{CloseCode, Config, Connection, Message, MessageKind, Receiver, Role, Sender};

use crate::settings;
use crate::transport::{Scripted, runtime};

/// Longer than any deadline of the configurations.
const LONG: Duration = Duration::from_secs(600);
const MOST_STEPS: usize = 120;

pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let runtime = runtime();
    let local = LocalSet::new();
    let _ = local.block_on(&runtime, check(&mut input));
}

/// What became of the messages of one end.
#[derive(Default)]
struct Ledger {
    /// When each message began to be sent and was accepted, by its number.
    sent: Vec<Sent>,
    /// The numbers of the messages that the other end has received.
    received: Vec<usize>,
    /// How many messages the other end may have dropped unread.
    dropped: usize,
    /// Whether a message was left unfinished, which ends the connection.
    is_cut: bool,
    now: u64,
}

#[derive(Clone, Copy, Default)]
struct Sent {
    began: Option<u64>,
    accepted: Option<u64>,
}

type Kept = Pin<Box<dyn Future<Output = ()>>>;

/// What a future waits for.
#[derive(Clone, Copy)]
enum Waits {
    /// Room, which there is once the other end receives.
    ToSend,
    /// A message, which may never come.
    ToReceive,
}

struct End {
    sender: Sender,
    receiver: Rc<tokio::sync::Mutex<Receiver>>,
    /// Of what this end sends.
    ledger: Rc<RefCell<Ledger>>,
    /// Of what the other end sends.
    theirs: Rc<RefCell<Ledger>>,
    kept: Vec<(Waits, Kept)>,
    /// The futures that were left to other tasks.
    sending: JoinSet<()>,
    receiving: JoinSet<()>,
}

async fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let may_fail = input.ratio(1, 3)?;
    let (one, other) = tokio::io::duplex(*input.choose(&[1, 60, 1_000, 70_000])?);
    let one = Scripted::new(one, input.arbitrary()?, may_fail);
    let other = Scripted::new(other, input.arbitrary()?, may_fail);
    let (client, server) = (config(input)?, config(input)?);
    let client = Connection::from_stream(one, Role::Client, &client, Bytes::new());
    let server = Connection::from_stream(other, Role::Server, &server, Bytes::new());
    let ledgers = [Rc::<RefCell<Ledger>>::default(), Rc::default()];
    let mut ends =
        [End::new(client, &ledgers[0], &ledgers[1]), End::new(server, &ledgers[1], &ledgers[0])];

    let mut was_aborted = false;
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        let end = &mut ends[usize::from(input.arbitrary::<bool>()?)];
        was_aborted |= step(end, input).await?;
    }
    let all_ended = finish(ends).await;
    assert!(all_ended, "an end never ended");
    let is_cut = ledgers.iter().any(|ledger| ledger.borrow().is_cut);
    for ledger in ledgers {
        ledger.borrow().check(may_fail || was_aborted || is_cut);
    }
    Ok(())
}

fn config(input: &mut Unstructured<'_>) -> Result<Config> {
    let small = settings::config(input)?;
    // An end that takes nothing for long is given up, which loses messages: not here.
    Ok(Config::client()
        .fragment_outgoing_messages(small.fragment_outgoing_messages)
        .fragmentation_threshold(small.fragmentation_threshold)
        .send_high_water_mark(small.send_high_water_mark)
        .max_received_control_rate(None)
        .send_timeout(None)
        .keepalive(None)
        .close_timeout(LONG / 4))
}

/// Does one thing. Returns whether it may lose messages.
async fn step(end: &mut End, input: &mut Unstructured<'_>) -> Result<bool> {
    match input.int_in_range(0..=19)? {
        0..=2 => {
            let future = end.send(input.int_in_range(0..=6_000)?);
            end.handle(Waits::ToSend, future, input)?;
        }
        3..=5 => {
            let future = end.recv();
            end.handle(Waits::ToReceive, future, input)?;
        }
        6 => end.try_send(input.int_in_range(0..=6_000)?),
        7 => {
            let sender = end.sender.clone();
            let bytes = vec![b'p'; input.int_in_range(0..=125)?];
            let future = Box::pin(async move { drop(sender.ping(bytes).await) });
            end.handle(Waits::ToSend, future, input)?;
        }
        8 => {
            let sender = end.sender.clone();
            let future = Box::pin(async move { sender.flushed().await });
            end.handle(Waits::ToSend, future, input)?;
        }
        9..=11 => end.poll_kept(input)?,
        12 if !end.kept.is_empty() => {
            let at = input.choose_index(end.kept.len())?;
            drop(end.kept.swap_remove(at));
        }
        13 => time::sleep(Duration::from_millis(input.int_in_range(0..=900)?)).await,
        14 if input.ratio(1, 6)? => {
            let _ = end.sender.start_close(CloseCode::NORMAL, "done");
        }
        15 if input.ratio(1, 12)? => {
            end.sender.abort(CloseCode::POLICY, "enough");
            return Ok(true);
        }
        16 | 17 => {
            let future = end.write(input.int_in_range(0..=40_000)?, input.arbitrary()?);
            end.handle(Waits::ToSend, future, input)?;
        }
        18 | 19 => {
            let future = end.read(input.ratio(1, 4)?);
            end.handle(Waits::ToReceive, future, input)?;
        }
        _ => tokio::task::yield_now().await,
    }
    Ok(false)
}

impl End {
    fn new(
        connection: Connection,
        ledger: &Rc<RefCell<Ledger>>,
        theirs: &Rc<RefCell<Ledger>>,
    ) -> Self {
        let (sender, receiver) = connection.split();
        let receiver = Rc::new(tokio::sync::Mutex::new(receiver));
        Self {
            sender,
            receiver,
            ledger: ledger.clone(),
            theirs: theirs.clone(),
            kept: Vec::new(),
            sending: JoinSet::new(),
            receiving: JoinSet::new(),
        }
    }

    /// Sends the next message.
    fn send(&self, len: usize) -> Kept {
        let number = self.ledger.borrow_mut().add();
        let (sender, ledger) = (self.sender.clone(), self.ledger.clone());
        Box::pin(async move {
            ledger.borrow_mut().begin(number);
            if sender.send(Message::binary(payload(number, len))).await.is_ok() {
                ledger.borrow_mut().accept(number);
            }
        })
    }

    fn try_send(&self, len: usize) {
        let mut ledger = self.ledger.borrow_mut();
        let number = ledger.add();
        ledger.begin(number);
        if self.sender.try_send(Message::binary(payload(number, len))).is_ok() {
            ledger.accept(number);
        }
    }

    /// Sends the next message while it is written.
    fn write(&self, len: usize, flushes: bool) -> Kept {
        let number = self.ledger.borrow_mut().add();
        let (sender, ledger) = (self.sender.clone(), self.ledger.clone());
        Box::pin(async move {
            let mut unfinished =
                Unless { ledger, is_done: false, otherwise: |at| at.is_cut = true };
            unfinished.ledger.borrow_mut().begin(number);
            let mut writer = sender.message_writer(MessageKind::Binary);
            let result = async {
                for part in payload(number, len).chunks(997) {
                    writer.write_all(part).await?;
                    if flushes {
                        writer.flush().await?;
                    }
                }
                std::io::Result::Ok(writer.finish().await?)
            };
            if result.await.is_ok() {
                unfinished.ledger.borrow_mut().accept(number);
            }
            unfinished.is_done = true;
        })
    }

    fn recv(&self) -> Kept {
        let (receiver, theirs) = (self.receiver.clone(), self.theirs.clone());
        Box::pin(async move {
            let mut receiver = receiver.lock().await;
            if let Ok(Some(message)) = receiver.recv().await {
                theirs.borrow_mut().receive(&message);
            }
        })
    }

    /// Receives a message while it arrives, or skips all of it but its number.
    fn read(&self, skips: bool) -> Kept {
        let (receiver, theirs) = (self.receiver.clone(), self.theirs.clone());
        Box::pin(async move {
            let mut receiver = receiver.lock().await;
            let Ok(Some(mut reader)) = receiver.recv_reader().await else { return };
            let mut unread =
                Unless { ledger: theirs, is_done: false, otherwise: |at| at.dropped += 1 };
            let mut bytes = Vec::new();
            if skips {
                let mut number = [0; 8];
                if reader.read_exact(&mut number).await.is_ok() {
                    unread.ledger.borrow_mut().take(number);
                }
            } else if reader.read_to_end(&mut bytes).await.is_ok() {
                unread.ledger.borrow_mut().receive(&Message::binary(bytes));
            }
            unread.is_done = true;
        })
    }

    /// Polls a future once or not at all, and keeps it, drops it, or leaves it to another task.
    fn handle(
        &mut self,
        waits: Waits,
        mut future: Kept,
        input: &mut Unstructured<'_>,
    ) -> Result<()> {
        let choice = input.int_in_range(0..=3)?;
        if choice != 0 && poll_once(&mut future).is_ready() {
            return Ok(());
        }
        match choice {
            0 | 1 => self.kept.push((waits, future)),
            2 => self.spawn(waits, future),
            _ => drop(future),
        }
        Ok(())
    }

    fn spawn(&mut self, waits: Waits, future: Kept) {
        match waits {
            Waits::ToSend => self.sending.spawn_local(future),
            Waits::ToReceive => self.receiving.spawn_local(future),
        };
    }

    fn poll_kept(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let at = input.choose_index(self.kept.len())?;
        if poll_once(&mut self.kept[at].1).is_ready() {
            drop(self.kept.swap_remove(at));
        }
        Ok(())
    }
}

fn poll_once(future: &mut Kept) -> Poll<()> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Receives what is left, and closes both ends once nothing waits to be sent. Returns whether that came to an end.
async fn finish(ends: [End; 2]) -> bool {
    let drain = ends.map(|mut end| async move {
        // Half of those that are kept are dropped; the others go on in a task.
        for (at, (waits, future)) in std::mem::take(&mut end.kept).into_iter().enumerate() {
            if at % 2 == 0 {
                end.spawn(waits, future);
            }
        }
        let receive = async {
            loop {
                let received = end.receiver.lock().await.recv().await;
                match received {
                    Ok(Some(message)) => end.theirs.borrow_mut().receive(&message),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        let close = async {
            // What waits and what was accepted goes out first.
            done(&mut end.sending).await;
            end.sender.flushed().await;
            drop(end.sender.close(CloseCode::NORMAL, "done").await);
        };
        tokio::join!(receive, close);
        done(&mut end.receiving).await;
    });
    let [one, other] = drain;
    time::timeout(LONG, async { tokio::join!(one, other) }).await.is_ok()
}

/// Waits for all tasks, none of which panics.
async fn done(tasks: &mut JoinSet<()>) {
    while let Some(done) = tasks.join_next().await {
        done.expect("a task that ends");
    }
}

/// Notes it in the ledger if a future is dropped before it is done.
struct Unless {
    ledger: Rc<RefCell<Ledger>>,
    is_done: bool,
    otherwise: fn(&mut Ledger),
}

impl Drop for Unless {
    fn drop(&mut self) {
        if !self.is_done {
            (self.otherwise)(&mut self.ledger.borrow_mut());
        }
    }
}

/// A payload that says its number, and fills its length with bytes that follow from it.
fn payload(number: usize, len: usize) -> Vec<u8> {
    let mut bytes = (number as u64).to_be_bytes().to_vec();
    bytes.extend((0..len).map(|at| fill(number, at)));
    bytes
}

fn fill(number: usize, at: usize) -> u8 {
    (number.wrapping_mul(31) ^ at).to_le_bytes()[0]
}

impl Ledger {
    fn add(&mut self) -> usize {
        self.sent.push(Sent::default());
        self.sent.len() - 1
    }

    fn begin(&mut self, number: usize) {
        self.now += 1;
        self.sent[number].began = Some(self.now);
    }

    fn accept(&mut self, number: usize) {
        self.now += 1;
        self.sent[number].accepted = Some(self.now);
    }

    fn receive(&mut self, message: &Message) {
        let Message::Binary(bytes) = message else { panic!("{message:?} was never sent") };
        let (number, rest) = bytes.split_first_chunk().expect("a number");
        let number = self.take(*number);
        let is_whole = rest.iter().enumerate().all(|(at, byte)| *byte == fill(number, at));
        assert!(is_whole, "message {number} has changed");
    }

    /// Takes note of a message of which the number has come.
    fn take(&mut self, number: [u8; 8]) -> usize {
        let number = usize::try_from(u64::from_be_bytes(number)).expect("a small number");
        let sent = self.sent.get(number).and_then(|sent| sent.began);
        let began = sent.unwrap_or_else(|| panic!("message {number} was never sent"));
        assert!(!self.received.contains(&number), "message {number} came twice");
        for earlier in &self.received {
            let is_later = self.sent[*earlier].began > self.sent[number].accepted;
            let overtook = self.sent[number].accepted.is_some() && is_later;
            assert!(!overtook, "message {earlier} overtook {number}, which began at {began}");
        }
        self.received.push(number);
        number
    }

    /// `is_lossy` says that the connection may have ended before everything was delivered.
    fn check(&self, is_lossy: bool) {
        let is_missing = |number: &usize| {
            self.sent[*number].accepted.is_some() && !self.received.contains(number)
        };
        let missing: Vec<_> = (0..self.sent.len()).filter(is_missing).collect();
        assert!(
            is_lossy || missing.len() <= self.dropped,
            "accepted and not received: {missing:?}"
        );
    }
}
