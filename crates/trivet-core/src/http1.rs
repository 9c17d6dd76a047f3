//! HTTP/1.1 on the wire, without I/O: request heads and chunked content in,
//! response heads and chunks out (RFC 9112).
//!
//! Strategy: strict where leniency has ever let two parties disagree. Every line
//! ends in CRLF, nothing is folded, nothing is repaired. What is refused is
//! refused as a [`crate::Problem`] that the edge answers and logs as it is.

mod chunked;
mod head;
mod known_field;
mod response;
mod status;

pub use chunked::{ChunkStep, ChunkedDecoder, ChunkedLimits};
pub use head::{Field, Head, HeadLimits, Parse, Span, Version};
pub use known_field::KnownField;
pub use response::{
    BadField, BodyFraming, CHUNK_END, CONTINUE, HeadWritten, LAST_CHUNK, ResponseFacts,
    encode_chunk_prefix, encode_head, encode_trailers, framing,
};
pub use status::reason_phrase;
