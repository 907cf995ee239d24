//! The project's README, and the pages of its guide that have examples: they are to compile.

#[doc = include_str!("../../../README.md")]
struct Readme;

#[doc = include_str!("../../../docs/tls.md")]
struct Tls;

#[doc = include_str!("../../../docs/networks.md")]
struct Networks;
