//! One item for each page that has Rust on it.

#[doc = include_str!("../../../docs/accepting.md")]
struct Accepting;

#[doc = include_str!("../../../docs/authentication.md")]
struct Authentication;

#[doc = include_str!("../../../docs/axum.md")]
struct Axum;

#[doc = include_str!("../../../docs/backpressure.md")]
struct Backpressure;

#[doc = include_str!("../../../docs/byte-streams.md")]
struct ByteStreams;

#[doc = include_str!("../../../docs/closing.md")]
struct Closing;

#[doc = include_str!("../../../docs/compression.md")]
struct Compression;

#[doc = include_str!("../../../docs/core.md")]
struct Core;

#[doc = include_str!("../../../docs/http2.md")]
struct Http2;

#[doc = include_str!("../../../docs/keepalive.md")]
struct Keepalive;

#[doc = include_str!("../../../docs/limits.md")]
struct Limits;

#[doc = include_str!("../../../docs/metrics.md")]
struct Metrics;

#[doc = include_str!("../../../docs/networks.md")]
struct Networks;

#[doc = include_str!("../../../docs/origin.md")]
struct Origin;

#[doc = include_str!("../../../docs/reconnecting.md")]
struct Reconnecting;

#[doc = include_str!("../../../docs/scaling-out.md")]
struct ScalingOut;

#[doc = include_str!("../../../docs/sending.md")]
struct Sending;

#[doc = include_str!("../../../docs/testing.md")]
struct Testing;

#[doc = include_str!("../../../docs/tls.md")]
struct Tls;

#[doc = include_str!("../../../docs/topics.md")]
struct Topics;

#[doc = include_str!("../../../docs/tutorial.md")]
struct Tutorial;
