//! Compiles, as documentation tests, the Rust on every page of the guide. `cargo xtask book --check`
//! finds pages that are missing here.

#[cfg(doctest)]
mod pages;
