//! Trivet's decisions about HTTP.
//!
//! Everything here is a pure function of bytes and numbers: no I/O, no clock,
//! no async. The edge owns sockets and time and asks this crate what they mean:
//! whether a request may pass ([`gate`]), what its bytes say ([`http1`]), what to
//! answer when the edge answers by itself ([`problem`]), which file a path means
//! ([`file_path`], [`media_type`]), how much of it the client needs ([`conditional`],
//! [`range`]) and in which coding ([`content_coding`]).
//!
//! Nothing that comes from outside may panic here; the property tests at the
//! bottom of each module and `tests/vectors.rs` hold the crate to that.
//!
//! Length: one file per decision, so that `ls` is its map.

#![forbid(unsafe_code)]

pub mod access_log;
pub mod address_set;
pub mod batching;
pub mod budget;
pub mod conditional;
pub mod content_coding;
pub mod dispatch;
pub mod field;
pub mod file_path;
pub mod forwarded;
pub mod gate;
pub mod glob;
pub mod health;
pub mod http1;
pub mod http_date;
pub mod listing;
pub mod media_type;
pub mod problem;
pub mod range;
pub mod rate_limit;
pub mod retry;
pub mod route;
pub mod websocket;

pub use problem::Problem;
