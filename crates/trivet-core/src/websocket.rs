//! WebSocket on the wire, without I/O: the handshake's verdict, frames in, frames
//! out, and permessage-deflate (RFC 6455, RFC 7692).
//!
//! Strategy: the caller owns the bytes. [`Decoder::step`] unmasks frames where they
//! lie and says what stands where, so a message is never copied to be read, and
//! never gathered either: its pieces go on as they come. Only what a message as a
//! whole demands is remembered between two steps: its size, and up to three bytes
//! of an unfinished character.

mod answer;
mod close;
mod decoder;
mod deflate;
mod encoder;
mod handshake;
mod mask;
mod utf8;

pub use answer::{Answer, BadAnswer, MAX_ANSWER_BYTES, read_answer};
pub use close::{CloseCode, MAX_REASON_BYTES, can_be_sent};
pub use decoder::{Decoder, Limits, Step, Violation};
pub use deflate::{Deflater, Inflater};
pub use encoder::{Opcode, put_close, put_frame, put_message};
pub use handshake::{DeflateOffer, Offer, accept_value, asks_for_websocket, judge};
