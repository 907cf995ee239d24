//! The pages of the guide that have a program before and after, compiled as documentation tests.

#[doc = include_str!("../../../docs/migrating/axum.md")]
struct Axum;

#[doc = include_str!("../../../docs/migrating/fastwebsockets.md")]
struct FastWebSockets;

#[doc = include_str!("../../../docs/migrating/tokio-tungstenite.md")]
struct TokioTungstenite;

#[doc = include_str!("../../../docs/migrating/ws.md")]
struct Ws;
