//! Compiles the examples of the guide.

#[doc = include_str!("../../../docs/axum.md")]
struct Axum;
