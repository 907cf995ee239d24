//! The options that limit how much clients can use: connections, handshakes, rates.

use std::sync::Arc;

use crate::connection::{Rate, Throttling, WhenTooFast};
use crate::server::builder::ServerBuilder;
use crate::server::quota::{Limits, Prefixes, Quotas};

/// Quotas of clients. All are off by default.
impl ServerBuilder {
    /// Sets what is counted for the quotas: the counts of other servers, to have one limit for all of
    /// them. Default: counts of its own.
    ///
    /// Connections, addresses with their handshakes, and buffered memory are counted together, on all
    /// servers that have the respective limit. Each server applies its own limits to the sum, so give
    /// all of them the same ones. [`max_handshakes`](Self::max_handshakes) stays a limit for each
    /// server.
    ///
    /// The counts are touched when a connection begins and ends, and by no message. The exception is
    /// [`max_buffered_bytes`](Self::max_buffered_bytes): a server adds to the common sum once what its
    /// connections hold has changed by a 1024th of the limit, at most 64 KiB. The sum is inexact by
    /// that for each server.
    ///
    /// ```no_run
    /// use towline::{Quotas, Server};
    ///
    /// // 50,000 connections on all threads together. Clones of the builder share the counts.
    /// let builder = Server::builder()
    ///     .quotas(Quotas::new())
    ///     .max_connections(50_000)
    ///     .max_connections_per_address(100)
    ///     .reuse_port(true);
    /// let threads = (0..4).map(|_| {
    ///     let builder = builder.clone();
    ///     std::thread::spawn(move || {
    ///         let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    ///         runtime.block_on(async {
    ///             let mut server = builder.bind("127.0.0.1:9001").await?;
    ///             while let Some(request) = server.next_request().await {
    ///                 // … tokio::spawn(…)
    ///                 # drop(request);
    ///             }
    ///             Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///         })
    ///     })
    /// });
    /// # for thread in threads.collect::<Vec<_>>() { thread.join().unwrap().unwrap(); }
    /// ```
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.options.quotas = Some(quotas);
        self
    }

    /// Sets how many connections there can be at once. Requests that are not answered yet count
    /// too. A further client is answered with 503 and `Retry-After`. Default: no limit.
    ///
    /// ```
    /// use towline::Server;
    ///
    /// let builder = Server::builder().max_connections(50_000).max_connections_per_address(100);
    /// ```
    pub fn max_connections(mut self, connections: impl Into<Option<usize>>) -> Self {
        self.limits().connections = connections.into();
        self
    }

    /// Sets how many connections one client can have at once, by its address: an IPv4 address, or
    /// the /64 network of an IPv6 address; see [`address_prefixes`](Self::address_prefixes). A
    /// further one is answered with 429 (RFC 6585, section 4) and `Retry-After`. Default: no limit.
    ///
    /// The address is that of [`Request::remote_address`](crate::Request::remote_address): behind a
    /// [trusted proxy](Self::trusted_proxies), the one that the proxy reports, and otherwise the
    /// peer's. In the latter case, streams count from the moment they are accepted, so that one
    /// client can't take all places of [`max_handshakes`](Self::max_handshakes) either. Over TLS,
    /// such a stream is dropped before the TLS handshake, without a response. Clients without an
    /// address, such as those of a Unix socket, are not limited.
    ///
    /// Many people can share an address, for example behind a carrier's NAT: choose a limit with
    /// room for them.
    ///
    /// The server remembers an address while it has connections. Each costs about 100 bytes.
    pub fn max_connections_per_address(mut self, connections: impl Into<Option<usize>>) -> Self {
        self.limits().connections_per_address = connections.into();
        self
    }

    /// Sets how often one client can begin a handshake, by its address as for
    /// [`max_connections_per_address`](Self::max_connections_per_address). A client that does so
    /// more often is answered with 429 and `Retry-After`. Default: no limit.
    ///
    /// The server remembers up to 65,536 addresses without a connection, about 100 bytes each,
    /// until their burst is available again. If there are more, it forgets those that come soonest
    /// to that.
    ///
    /// ```
    /// use towline::{Rate, Server};
    ///
    /// // A page may open several at once, but not go on like that.
    /// let builder = Server::builder().max_handshake_rate(Rate::per_second(2).burst(20));
    /// ```
    pub fn max_handshake_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.limits().handshake_rate = rate.into();
        self
    }

    /// Sets how many leading bits of an IPv4 and of an IPv6 address name a client for
    /// [`max_connections_per_address`](Self::max_connections_per_address) and
    /// [`max_handshake_rate`](Self::max_handshake_rate). Default: 32 and 64, since one IPv6
    /// customer has at least a /64 network. Providers also assign /56 and /48. More than 32 and 128
    /// are taken as these.
    pub fn address_prefixes(mut self, ipv4: u8, ipv6: u8) -> Self {
        self.limits().prefixes = Prefixes::new(ipv4, ipv6);
        self
    }

    /// Sets how many messages a client can send on a connection. What happens to one that sends
    /// faster is up to [`when_too_fast`](Self::when_too_fast). Default: no limit.
    ///
    /// The size of messages does not matter; [`max_byte_rate`](Self::max_byte_rate) is about that.
    /// Pings and pongs have a limit of their own,
    /// [`max_received_control_rate`](crate::Config::max_received_control_rate).
    ///
    /// Costs an allocation of about 60 bytes for each connection, and reading the clock for each
    /// message.
    ///
    /// ```
    /// use towline::{Rate, Server, WhenTooFast};
    ///
    /// let builder = Server::builder()
    ///     .max_message_rate(Rate::per_second(50).burst(200))
    ///     .max_byte_rate(Rate::per_second(64 << 10).burst(1 << 20))
    ///     .when_too_fast(WhenTooFast::Close);
    /// ```
    pub fn max_message_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.throttling().messages = rate.into();
        self
    }

    /// Sets how many bytes a client can send on a connection, headers of frames included, and
    /// before decompression. What happens to one that sends faster is up to
    /// [`when_too_fast`](Self::when_too_fast). Default: no limit.
    ///
    /// Bytes are counted as they are read, up to 64 KiB at once. So a slowed-down client can exceed
    /// the burst by that; it then waits for so much longer.
    ///
    /// Costs an allocation of about 60 bytes for each connection, and reading the clock for each
    /// read.
    pub fn max_byte_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.throttling().bytes = rate.into();
        self
    }

    /// Sets what happens to a client that sends faster than
    /// [`max_message_rate`](Self::max_message_rate) or [`max_byte_rate`](Self::max_byte_rate)
    /// allows. Default: [`WhenTooFast::SlowDown`].
    ///
    /// With [`WhenTooFast::Close`], choose a burst with room for what a client sends while the
    /// program is busy: the server sees all of that at once when the program receives again.
    pub fn when_too_fast(mut self, when: WhenTooFast) -> Self {
        self.throttling().when_too_fast = when;
        self
    }

    /// Sets how much memory all connections of the server can hold for messages together, in bytes.
    /// If they hold more, those that hold most are closed with 1013 (try again later), until an
    /// eighth of the limit is free again. Default: no limit.
    ///
    /// What counts is the memory of messages that are received and not complete, and of queued ones
    /// that are not written. While received bytes wait for the program, or for the rate of their
    /// client, their buffer of 128 KiB counts. A message that was handed out can count until the
    /// program receives again. A payload that several connections share, as in a broadcast, counts
    /// for each. Memory that is reserved for the rest of a message and not written yet, buffers that
    /// no connection uses, those of compression and TLS, and the program's own memory do not count.
    ///
    /// Without it, `max_connections` times
    /// [`max_received_message_size`](crate::Config::max_received_message_size) and
    /// [`send_high_water_mark`](crate::Config::send_high_water_mark) is the bound: 1.25 MiB for each
    /// connection by default.
    ///
    /// A connection that is closed writes what the transport takes at once.
    /// [`closed`](crate::Connection::closed) then says [`Aborted`](crate::CloseCause::Aborted), and
    /// the code and the reason are those of the close frame that was sent. The memory is freed once
    /// the program's task has let go of the connection.
    ///
    /// Costs an allocation of about 40 bytes for each connection, and counting for each message
    /// that is sent and each read.
    pub fn max_buffered_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.limits().buffered_bytes = bytes.into();
        self
    }

    fn limits(&mut self) -> &mut Limits {
        self.options.limits.get_or_insert_default()
    }

    fn throttling(&mut self) -> &mut Throttling {
        Arc::make_mut(self.options.throttling.get_or_insert_default())
    }
}
