//! The program on one end of a connection: sends numbered messages, receives, and ends it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use towline::{
    CloseCause, CloseCode, CloseFrame, Closed, Connection, ErrorKind, Initiator, Message, Receiver,
    Sender,
};

use crate::dice::Dice;
use crate::ledger::{Ledger, Ticket};
use crate::plan::{Ending, Plan};

type Received = towline::Result<Option<Message>>;

/// What is wrong with a run.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<String>>>);

impl Faults {
    pub(crate) fn add(&self, fault: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The words of a ticket before the message, and what its last piece is too long.
const TICKET: usize = 60;

/// The header of a frame, and what a piece that cannot be compressed grows by.
const FRAME: usize = 30;

/// A ping, a pong and a close frame.
const CONTROL: usize = 3 * 140;

#[derive(Clone)]
pub(crate) struct End {
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) plan: Plan,
    pub(crate) faults: Faults,
    /// When the run ends, and so all connections.
    pub(crate) over: Instant,
}

impl End {
    pub(crate) fn note<T>(&self, with: impl FnOnce(&mut Ledger) -> T) -> T {
        with(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Talks until the connection has ended, or this end lets go of it.
    pub(crate) async fn run(self, connection: Connection, dice: Dice) {
        let mut tasks = JoinSet::new();
        let ending = self.plan.ending;
        tasks.spawn(self.clone().watch(connection.sender()));
        if self.plan.senders == 0 {
            self.whole(connection, dice, &mut tasks).await;
        } else {
            let (sender, receiver) = connection.split();
            self.split(sender, receiver, dice, &mut tasks).await;
        }
        if ending == Ending::Drop {
            // The watching sender is the last handle.
            self.note(|ledger| ledger.dropped = Some(Instant::now()));
            tasks.shutdown().await;
        }
        while let Some(ended) = tasks.join_next().await {
            if ended.is_err_and(|error| error.is_panic()) {
                self.faults.add("a task of a program panicked");
            }
        }
    }

    /// Notes when and how the connection ends.
    async fn watch(self, sender: Sender) {
        let closed = sender.wait_closed().await;
        let unsent = sender.take_unsent();
        self.note(|ledger| {
            ledger.unsent.extend(unsent.iter().filter_map(Ticket::of));
            ledger.closed = Some((Instant::now(), closed));
        });
    }

    async fn split(
        &self,
        sender: Sender,
        mut receiver: Receiver,
        mut dice: Dice,
        tasks: &mut JoinSet<()>,
    ) {
        let mut sending = JoinSet::new();
        for number in 0..self.plan.senders {
            let dice = dice.of(number as u64 + 1);
            sending.spawn(self.clone().send_all(sender.clone(), number, dice));
        }
        let receiving = {
            let (end, dice) = (self.clone(), dice.of(100));
            async move { end.receive_all(&mut receiver, dice).await }
        };
        match self.plan.ending {
            Ending::Drop | Ending::CloseAndDrop => {
                let mut receiving = JoinSet::from_iter([receiving]);
                self.all_sent(&mut sending).await;
                sleep(dice.millis(0, 3_000)).await;
                receiving.shutdown().await;
                if self.plan.ending == Ending::CloseAndDrop {
                    self.close(&sender);
                    self.check_close(sender.wait_closed(), &sender).await;
                }
            }
            ending => {
                tasks.spawn(receiving);
                self.all_sent(&mut sending).await;
                self.end(ending, &sender, &mut dice).await;
            }
        }
        if self.plan.ending == Ending::Drop {
            sending.shutdown().await;
        }
        self.settle(&mut sending).await;
    }

    /// Waits until everything is sent, or the run is over.
    async fn all_sent(&self, sending: &mut JoinSet<()>) {
        let all = async { while sending.join_next().await.is_some() {} };
        tokio::select! { biased;
            () = all => {}
            () = sleep_until(self.over) => {}
        }
    }

    /// Waits for the senders, which end with the connection.
    async fn settle(&self, sending: &mut JoinSet<()>) {
        while let Some(ended) = sending.join_next().await {
            if ended.is_err() {
                self.faults.add("a task that sends panicked");
            }
        }
    }

    /// Ends a connection on which another task receives.
    async fn end(&self, ending: Ending, sender: &Sender, dice: &mut Dice) {
        if ending == Ending::Wait {
            tokio::select! { biased;
                () = sleep_until(self.over) => {}
                _ = sender.wait_closed() => return,
            }
        } else {
            sleep(dice.millis(0, 2_000)).await;
        }
        if ending == Ending::Abort {
            sender.abort(CloseCode::POLICY, "enough");
            if sender.closed().is_none() {
                self.faults.add(format!("{} aborted, and is not closed", self.name()));
            }
            return;
        }
        self.close(sender);
        self.check_close(sender.wait_closed(), sender).await;
    }

    fn close(&self, sender: &Sender) {
        match sender.start_close(self.plan.code, "") {
            Ok(()) => {
                self.note(|ledger| ledger.closing = Some((Instant::now(), self.plan.code)));
            }
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) => self.faults.add(format!("{} cannot close: {error}", self.name())),
        }
    }

    /// A close completes within its timeout.
    async fn check_close<T>(&self, closed: impl Future<Output = T>, sender: &Sender) {
        let most = self.note(|ledger| ledger.config.close_timeout) + Duration::from_millis(10);
        // If the peer began, its close frame may be behind what was not received yet.
        let is_ours = self.note(|ledger| ledger.closing.is_some());
        if !is_ours {
            closed.await;
        } else if timeout(most, closed).await.is_err() && sender.closed().is_none() {
            self.faults.add(format!("{}: a close takes more than {most:?}", self.name()));
        }
    }

    fn name(&self) -> String {
        self.note(|ledger| ledger.name())
    }

    async fn send_all(self, sender: Sender, number: usize, mut dice: Dice) {
        for message in 0..self.plan.messages {
            if !self.send(&sender, number, message, &mut dice).await {
                return;
            }
        }
    }

    /// Sends a message, in one of several ways. Returns whether another can be sent.
    async fn send(&self, sender: &Sender, by: usize, message: u64, dice: &mut Dice) -> bool {
        sleep(dice.millis(0, self.plan.pause)).await;
        let (link, side) = self.note(|ledger| (ledger.link, ledger.side));
        let number = usize::try_from(message).unwrap_or(usize::MAX);
        let ticket = Ticket { link, side, sender: by, number, len: dice.size(1, self.plan.len) };
        let message = ticket.message();
        let sent = match dice.between(0, 9) {
            0 => sender.try_send(message),
            1 => {
                sender.flushed().await;
                sender.send(message).await
            }
            2 => {
                let _ = sender.ping("are you there?").await;
                sender.send(message).await
            }
            _ if dice.once_in(self.plan.cancels) => {
                let patience = dice.millis(0, 5);
                match timeout(patience, sender.send(message)).await {
                    Ok(sent) => sent,
                    // Dropped while it waited: it must not arrive.
                    Err(_) => return true,
                }
            }
            _ => sender.send(message).await,
        };
        self.check_queue(sender);
        match sent {
            Ok(()) => {
                self.note(|ledger| ledger.accept(ticket));
                true
            }
            Err(error) if error.kind() == ErrorKind::QueueFull => true,
            Err(error) => {
                if error.kind() == ErrorKind::Closed && sender.is_open() {
                    self.faults.add(format!("{}: not sent, though open: {error}", self.name()));
                }
                false
            }
        }
    }

    /// Beyond the mark, a message per sender may be queued, each with the headers of its frames, and
    /// control frames.
    fn check_queue(&self, sender: &Sender) {
        let queued = sender.queued_bytes();
        let most = self.note(|ledger| {
            let longest = self.plan.len + TICKET;
            let frames = longest / ledger.config.fragmentation_threshold.get() + 1;
            let largest = longest + frames * FRAME;
            ledger.config.send_high_water_mark + (self.plan.senders + 1) * largest + CONTROL
        });
        if queued > most {
            self.faults.add(format!("{}: {queued} bytes are queued, {most} at most", self.name()));
        }
    }

    async fn receive_all(self, receiver: &mut Receiver, mut dice: Dice) {
        loop {
            self.dawdle(&mut dice).await;
            self.note(|ledger| {
                ledger.receiving.get_or_insert_with(Instant::now);
            });
            let received = if dice.once_in(self.plan.cancels) {
                let patience = dice.millis(0, 50);
                let Ok(received) = timeout(patience, receiver.recv()).await else { continue };
                received
            } else {
                receiver.recv().await
            };
            let closed = receiver.closed();
            if !self.handle(&received, closed) {
                return self.check_again(&received, &receiver.recv().await);
            }
        }
    }

    /// Notes what was received. Returns whether more may come.
    fn handle(&self, received: &Received, closed: Option<Closed>) -> bool {
        let is_error = match received {
            Ok(Some(message)) => {
                if let Some(fault) = self.note(|ledger| ledger.receive(message)) {
                    self.faults.add(fault);
                }
                return true;
            }
            Ok(None) => false,
            Err(_) => true,
        };
        let Some(closed) = closed else {
            self.faults.add(format!("{}: the end of receiving, and no outcome", self.name()));
            return false;
        };
        let is_aborted = closed.cause() == CloseCause::Aborted;
        let code = closed.received().map(CloseFrame::code);
        let expected = [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS];
        let is_wrong = match code {
            _ if is_aborted => is_error,
            Some(code) if expected.contains(&code) => is_error,
            Some(_) => is_error != (closed.initiator() == Initiator::Remote),
            None => !is_error,
        };
        if is_wrong {
            let said = if is_error { "an error" } else { "no error" };
            self.faults.add(format!("{}: {said} at the end, which is: {closed:?}", self.name()));
        }
        self.note(|ledger| {
            ledger.told = Some(Instant::now());
            ledger.is_drained = code.is_some() && !is_aborted;
        });
        false
    }

    /// The end of receiving repeats, be it an error or not.
    fn check_again(&self, end: &Received, again: &Received) {
        let [end, again] = [end, again].map(|received| match received {
            Ok(message) => format!("{message:.60?}"),
            Err(error) => error.to_string(),
        });
        if end != again {
            self.faults.add(format!("{}: the end is {end}, and then {again}", self.name()));
        }
    }

    /// Pauses now and then, as a slow program does.
    async fn dawdle(&self, dice: &mut Dice) {
        if self.plan.slowness > 0 && dice.once_in(4) && Instant::now() < self.over {
            let pause = dice.millis(0, self.plan.slowness);
            self.note(|ledger| {
                ledger.receiving = None;
                ledger.pause = ledger.pause.max(pause);
            });
            sleep(pause).await;
        }
    }

    /// Sends and receives by turns, on a connection that is not split.
    async fn whole(&self, mut connection: Connection, mut dice: Dice, tasks: &mut JoinSet<()>) {
        let mut sent = 0;
        let sender = connection.sender();
        while sent < self.plan.messages && Instant::now() < self.over {
            self.dawdle(&mut dice).await;
            if dice.once_in(2) {
                sent += 1;
                if !self.send(&sender, 0, sent, &mut dice).await {
                    break;
                }
            }
            self.note(|ledger| ledger.receiving = None);
            let patience = dice.millis(0, 40);
            let Ok(received) = timeout(patience, connection.recv()).await else { continue };
            if !self.handle(&received, connection.closed()) {
                return self.check_again(&received, &connection.recv().await);
            }
        }
        match self.plan.ending {
            Ending::Drop => {}
            Ending::CloseAndDrop => {
                self.close(&sender);
                self.check_close(connection.wait_closed(), &sender).await;
            }
            ending => {
                let (end, dice_of_receiver) = (self.clone(), dice.of(100));
                let (sender, mut receiver) = connection.split();
                tasks.spawn(async move { end.receive_all(&mut receiver, dice_of_receiver).await });
                self.end(ending, &sender, &mut dice).await;
            }
        }
    }
}
