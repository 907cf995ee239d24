//! Compiles the examples of the project's README. Those of the guide are in `testing/guide`.

#[doc = include_str!("../../../README.md")]
struct Readme;
