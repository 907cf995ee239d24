//! Compiles the examples of the project's README and guide.

#[doc = include_str!("../../../README.md")]
struct Readme;

#[doc = include_str!("../../../docs/tls.md")]
struct Tls;

#[doc = include_str!("../../../docs/networks.md")]
struct Networks;

#[doc = include_str!("../../../docs/byte-streams.md")]
struct ByteStreams;

#[doc = include_str!("../../../docs/reconnecting.md")]
struct Reconnecting;
