//! Trivet's web server: sockets, HTTP/1.1, request content, dispatch to workers.
//!
//! A plain library: the supervisor's process calls [`run`] through the Python
//! module. What it decides by rules alone stands in `trivet-core`.
//!
//! Length: one file per part of the web server, so that `ls` is its map.

pub mod access_log;
pub mod claim_map;
pub mod clock;
mod compression;
pub mod connection;
mod control;
pub mod exchange;
pub mod fd_socket;
mod files;
mod limits;
pub mod link;
mod listen;
pub mod lists;
mod load;
mod mount;
pub mod pool;
mod request_id;
pub mod routing;
mod run;
mod settings;
pub mod shared;
pub mod spool;
mod stream;
mod warm_up;
pub mod watch;

pub use run::{run, scheduling};
