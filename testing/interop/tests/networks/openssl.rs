//! OpenSSL as the client and as the server.

mod dialogue;

mod client;

mod server;
