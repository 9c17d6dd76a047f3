//! What is fuzzed: a function per target, which panics where a property does not hold.
//!
//! `make test` runs the same functions over the committed corpora on the stable
//! compiler: `crates/trivet-core/tests/fuzz.rs` and `crates/trivet-wire/tests/fuzz.rs`
//! read these files.

pub mod access;
pub mod core;
pub mod files;
pub mod wire;
