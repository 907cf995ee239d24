//! OpenSSL at the other end, as client and as server.

mod dialogue;

mod client;

mod server;
