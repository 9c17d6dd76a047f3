//! Every byte that crosses a process border of Trivet, and no I/O.
//!
//! Four contracts, each with a version that both sides compare for equality:
//! [`frames`] (requests and responses, edge ↔ worker), [`claim`] (the shared
//! page that says whether Python has started a request), [`edge_config`] (one
//! JSON document, supervisor → edge) and [`control`] (one JSON object per
//! line, supervisor ↔ edge). `docs/internals/` describes each of them.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod claim;
pub mod control;
pub mod edge_config;
mod exact;
pub mod frames;

/// The version of every contract in this crate.
///
/// Edge, workers and supervisor come from one installed package, so equality
/// is required: a mismatch means that two installations are mixed.
pub const WIRE_VERSION: u32 = 1;
