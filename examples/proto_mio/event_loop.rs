//! The loop: sockets that are ready, and deadlines.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::client::{Client, Next};

const LISTENER: Token = Token(0);

/// More clients than this wait in the socket's backlog.
const MAX_CLIENTS: usize = 10_000;

/// When to accept again after that has failed.
const RETRY: Duration = Duration::from_millis(50);

pub(crate) struct EventLoop {
    poll: Poll,
    listener: TcpListener,
    clients: HashMap<Token, Client>,
    last_token: usize,
    /// The next deadline of each client that has one, the earliest first.
    deadlines: BTreeSet<(Instant, Token)>,
    /// Which of them each client has.
    deadline_of: HashMap<Token, Instant>,
    /// Clients that can go on without an event.
    ready: VecDeque<Token>,
    /// Whether clients may wait in the backlog: mio tells of them once.
    has_backlog: bool,
}

impl EventLoop {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            clients: HashMap::new(),
            last_token: LISTENER.0,
            deadlines: BTreeSet::new(),
            deadline_of: HashMap::new(),
            ready: VecDeque::new(),
            has_backlog: false,
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            // Once a round: reading the clock for each message would cost more than the message.
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    LISTENER => self.has_backlog = true,
                    client => self.ready.push_back(client),
                }
            }
            self.accept(now)?;
            while let Some(&(deadline, token)) = self.deadlines.first()
                && deadline <= now
            {
                self.deadlines.remove(&(deadline, token));
                self.deadline_of.remove(&token);
                self.ready.push_back(token);
            }
            // Each has one turn. Those that want another have it in the next round, after the events.
            for _ in 0..self.ready.len() {
                if let Some(token) = self.ready.pop_front() {
                    self.advance(token, now);
                }
            }
        }
    }

    /// How long to wait for events.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let wait = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if self.has_backlog && self.clients.len() < MAX_CLIENTS {
            return Some(wait.map_or(RETRY, |wait| wait.min(RETRY)));
        }
        wait
    }

    fn accept(&mut self, now: Instant) -> io::Result<()> {
        while self.has_backlog && self.clients.len() < MAX_CLIENTS {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    self.last_token += 1;
                    let token = Token(self.last_token);
                    let both = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut stream, token, both)?;
                    let _ = stream.set_nodelay(true);
                    self.clients.insert(token, Client::new(stream, now));
                    self.ready.push_back(token);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.has_backlog = false,
                Err(error) => {
                    // This client is gone already, or the process is out of sockets.
                    eprintln!("cannot accept: {error}");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Gives a client its turn.
    fn advance(&mut self, token: Token, now: Instant) {
        // An event can be of a client that has ended in this round.
        let Some(client) = self.clients.get_mut(&token) else { return };
        let next = client.advance(now);
        let deadline = client.deadline();
        match next {
            Ok(Next::Wait) => self.set_deadline(token, deadline),
            Ok(Next::Again) => {
                self.set_deadline(token, deadline);
                self.ready.push_back(token);
            }
            ended => {
                if let Err(error) = ended {
                    eprintln!("{error}");
                }
                self.set_deadline(token, None);
                if let Some(mut client) = self.clients.remove(&token) {
                    let _ = self.poll.registry().deregister(&mut client.stream);
                }
            }
        }
    }

    fn set_deadline(&mut self, token: Token, deadline: Option<Instant>) {
        let before = match deadline {
            Some(deadline) => self.deadline_of.insert(token, deadline),
            None => self.deadline_of.remove(&token),
        };
        if let Some(before) = before {
            self.deadlines.remove(&(before, token));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, token));
        }
    }
}
