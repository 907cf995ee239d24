//! Interest: whether the relay brings the messages of a topic to this node.
//!
//! One task per topic, while the interest that stands is not the one that is wanted, calls the
//! relay. So a join that comes while the last member's leaving is reported waits for that, and then
//! for the new interest. The task goes on if the join that began it is dropped.

use std::pin::pin;
use std::sync::Arc;

use crate::connection::Shared;
use crate::connection::sync::MutexGuard;
use crate::error::{Error, ErrorKind, Result};
use crate::topics::state::{Failure, Interest, Relayed, State, lock};

impl State {
    /// Makes a connection a member, once the interest stands. Returns whether it was none before.
    pub(crate) async fn join(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<bool> {
        if self.hub.relayed.is_none() {
            return self.enter(shared);
        }
        let joining = Joining::new(self);
        joining.wait().await?;
        self.enter(shared)
    }

    /// Ends a membership. Returns whether there was one.
    pub(crate) fn leave(self: &Arc<Self>, shared: &Arc<Shared>) -> bool {
        let was_member = self.exit(shared);
        self.see_to_interest();
        was_member
    }

    /// Spawns the task, if it has something to do.
    pub(crate) fn see_to_interest(self: &Arc<Self>) {
        if let Some(relayed) = &self.hub.relayed {
            self.change(relayed, lock(&self.interest));
        }
    }

    fn change(self: &Arc<Self>, relayed: &Relayed, mut interest: MutexGuard<'_, Interest>) {
        if interest.is_running || interest.stands == self.is_wanted(&interest) {
            return;
        }
        interest.is_running = true;
        drop(interest);
        relayed.runtime.spawn(Changing { state: self.clone(), is_done: false }.run());
    }

    fn is_wanted(&self, interest: &Interest) -> bool {
        interest.joining > 0 || self.len() > 0
    }
}

/// A call of `join`, from before it waits until the member is in.
struct Joining<'s> {
    state: &'s Arc<State>,
    /// How often the interest could not be had before.
    failures: u64,
}

impl<'s> Joining<'s> {
    fn new(state: &'s Arc<State>) -> Self {
        let mut interest = lock(&state.interest);
        interest.joining += 1;
        Self { state, failures: interest.failures }
    }

    async fn wait(&self) -> Result<()> {
        let state = self.state;
        let Some(relayed) = &state.hub.relayed else { return Ok(()) };
        loop {
            let mut changed = pin!(state.interest_changed.notified());
            changed.as_mut().enable();
            {
                let interest = lock(&state.interest);
                if interest.stands {
                    return Ok(());
                }
                if interest.failures != self.failures {
                    return Err(failed(&state.name, interest.failure.clone()));
                }
                state.change(relayed, interest);
            }
            changed.await;
        }
    }
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        lock(&self.state.interest).joining -= 1;
        self.state.see_to_interest();
    }
}

fn failed(name: &str, failure: Option<Failure>) -> Error {
    match failure {
        Some(failure) => {
            let message = format!("the relay can't subscribe to the topic {name:?}: {failure}");
            Error::new(ErrorKind::Relay, message).with_shared_source(failure)
        }
        None => {
            let why = "its runtime has ended, or it has panicked";
            let message = format!("the relay can't subscribe to the topic {name:?}: {why}");
            Error::new(ErrorKind::Relay, message)
        }
    }
}

/// The task.
struct Changing {
    state: Arc<State>,
    is_done: bool,
}

impl Changing {
    async fn run(mut self) {
        let state = &self.state;
        let Some(relayed) = &state.hub.relayed else { return };
        loop {
            let wanted = {
                let mut interest = lock(&state.interest);
                let wanted = state.is_wanted(&interest);
                if wanted == interest.stands {
                    interest.is_running = false;
                    break;
                }
                // It is uncertain from now on.
                interest.stands = false;
                wanted
            };
            let result = relayed.relay.interest(&state.name, wanted).await;
            let has_failed = {
                let mut interest = lock(&state.interest);
                interest.stands = wanted && result.is_ok();
                match result {
                    Err(failure) if wanted => {
                        interest.fail(Some(failure.into()));
                        true
                    }
                    _ => false,
                }
            };
            state.interest_changed.notify_waiters();
            if has_failed {
                break;
            }
        }
        self.is_done = true;
    }
}

impl Interest {
    fn fail(&mut self, failure: Option<Failure>) {
        self.stands = false;
        self.is_running = false;
        self.failures += 1;
        self.failure = failure;
    }
}

/// The runtime has ended, or the relay has panicked.
impl Drop for Changing {
    fn drop(&mut self) {
        if !self.is_done {
            lock(&self.state.interest).fail(None);
            self.state.interest_changed.notify_waiters();
        }
    }
}
