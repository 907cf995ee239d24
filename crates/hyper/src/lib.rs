//! Towline on a hyper server: handshakes go to the WebSocket server, all other requests to your
//! service, on one port.

// In the order of dependence: a module uses only those above it.

mod peer_address;

mod body;

mod upgraded;

mod handshake;

mod mount;

mod http_server;

pub use body::MountBody;
pub use http_server::HttpServer;
pub use mount::{Mount, MountFuture, MountLayer, mount};
pub use peer_address::PeerAddress;
