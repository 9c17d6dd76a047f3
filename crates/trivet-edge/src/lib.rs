//! Trivet's web server: sockets, HTTP/1.1, request content, dispatch to workers.
//!
//! A plain library: the supervisor's process calls [`run`] through the Python
//! module. What it decides by rules alone stands in `trivet-core`.

pub mod claim_map;
pub mod clock;
pub mod fd_socket;

/// Be the edge.
pub fn run(_control: std::os::fd::OwnedFd) -> i32 {
    0
}
