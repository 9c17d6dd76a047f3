//! Frames from the client: always masked (RFC 6455 sections 5 and 8.1).

use std::ops::Range;

use super::close::{CloseCode, can_be_sent};
use super::encoder::{FIN, Opcode, RSV1};
use super::mask;
use super::utf8::Utf8;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a message, all pieces together, as they cross the wire.
    pub message_bytes: u64,
    /// Whether permessage-deflate was agreed on, so that RSV1 has a meaning.
    pub allows_compressed: bool,
}

/// Why the connection must fail, with the code that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A close frame whose code must not be sent.
    #[error("the close code {0} must not be sent")]
    CloseCode(u16),
    /// A close frame with half a code.
    #[error("a close frame has a payload of one byte")]
    ClosePayload,
    /// A control frame in pieces, or over 125 bytes.
    #[error("a control frame is fragmented or longer than 125 bytes")]
    Control,
    /// A first piece where a further one was due, or the other way.
    #[error("a frame does not continue the message that was begun, or continues none")]
    Continuation,
    /// Compressed data that is none, or ends early.
    #[error("a compressed message cannot be inflated")]
    Inflate,
    /// A length in more bytes than it needs, or beyond 2^63.
    #[error("a frame length is not in its shortest form")]
    Length,
    /// An opcode without a meaning.
    #[error("the opcode {0} has no meaning")]
    Opcode(u8),
    /// A reserved bit that no extension uses.
    #[error("a reserved bit is set")]
    Reserved,
    /// A message over the limit.
    #[error("a message is larger than allowed")]
    TooLarge,
    /// A frame that is not masked.
    #[error("a frame from the client is not masked")]
    Unmasked,
    /// A text, or a reason, that is no UTF-8.
    #[error("a text is not valid UTF-8")]
    Utf8,
}

impl Violation {
    /// The close code that tells the client.
    pub const fn code(self) -> CloseCode {
        match self {
            Self::TooLarge => CloseCode::TooLarge,
            Self::Inflate | Self::Utf8 => CloseCode::InvalidData,
            _ => CloseCode::ProtocolError,
        }
    }
}

/// What stands next in the input. Ranges are of the input, which is unmasked there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes must come first.
    More,
    /// A piece of a message.
    Piece {
        /// Where it lies.
        at: Range<usize>,
        /// Whether the message is a text.
        is_text: bool,
        /// Whether the message is compressed.
        is_compressed: bool,
        /// Whether the message ends here.
        is_last: bool,
    },
    /// To be answered with a pong of the same payload.
    Ping(Range<usize>),
    /// The answer to a ping, or one that nobody asked for.
    Pong,
    /// The client is done; nothing that comes behind is read.
    Close {
        /// The code, where one was given.
        code: Option<u16>,
        /// Where the reason lies, which is UTF-8.
        reason: Range<usize>,
    },
}

/// The reading side of a connection.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// The data frame whose payload is being read.
    frame: Option<DataFrame>,
    /// The message whose pieces are being read.
    message: Option<Message>,
}

#[derive(Debug)]
struct DataFrame {
    left: u64,
    mask: [u8; 4],
    is_last: bool,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    is_text: bool,
    is_compressed: bool,
    bytes: u64,
    utf8: Utf8,
}

/// A frame head: at most 2 + 8 + 4 bytes.
struct FrameHead {
    bytes: usize,
    is_last: bool,
    is_compressed: bool,
    opcode: Opcode,
    len: u64,
    mask: [u8; 4],
}

impl Decoder {
    /// Read the first frame behind the handshake.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            frame: None,
            message: None,
        }
    }

    /// Read what stands at the start of `input`; returns how many bytes it took.
    ///
    /// A piece has at most `room` bytes, which must not be 0. Bytes that were taken
    /// must not be given again.
    ///
    /// # Errors
    /// [`Violation`], after which nothing more may be read.
    pub fn step(&mut self, input: &mut [u8], room: usize) -> Result<(usize, Step), Violation> {
        if self.frame.is_some() {
            return self.read_piece(input, 0, room);
        }
        let Some(head) = FrameHead::read(input, self.limits.allows_compressed)? else {
            return Ok((0, Step::More));
        };
        if head.opcode.is_control() {
            return read_control(input, &head);
        }
        self.begin_frame(&head)?;
        self.read_piece(input, head.bytes, room)
    }

    fn begin_frame(&mut self, head: &FrameHead) -> Result<(), Violation> {
        let message = match (head.opcode, &mut self.message) {
            (Opcode::Continuation, Some(message)) if !head.is_compressed => message,
            (Opcode::Text | Opcode::Binary, place @ None) => place.insert(Message {
                is_text: head.opcode == Opcode::Text,
                is_compressed: head.is_compressed,
                bytes: 0,
                utf8: Utf8::default(),
            }),
            (Opcode::Continuation, Some(_)) => return Err(Violation::Reserved),
            _ => return Err(Violation::Continuation),
        };
        message.bytes = message.bytes.saturating_add(head.len);
        if message.bytes > self.limits.message_bytes {
            return Err(Violation::TooLarge);
        }
        self.frame = Some(DataFrame {
            left: head.len,
            mask: head.mask,
            is_last: head.is_last,
        });
        Ok(())
    }

    /// The payload as far as it is there, behind `start` bytes of a head.
    fn read_piece(
        &mut self,
        input: &mut [u8],
        start: usize,
        room: usize,
    ) -> Result<(usize, Step), Violation> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok((start, Step::More));
        };
        let here = input.len().saturating_sub(start).min(room);
        let len = usize::try_from(frame.left).map_or(here, |left| left.min(here));
        let at = start..start + len;
        let piece = input.get_mut(at.clone()).unwrap_or_default();
        mask::apply(piece, &mut frame.mask);
        frame.left -= len as u64;
        let (is_text, is_compressed) = (message.is_text, message.is_compressed);
        if is_text && !is_compressed && !message.utf8.push(piece) {
            return Err(Violation::Utf8);
        }
        let is_whole = frame.left == 0;
        let is_last = is_whole && frame.is_last;
        if is_last && !message.utf8.is_complete() {
            return Err(Violation::Utf8);
        }
        if is_whole {
            self.frame = None;
        }
        if is_last {
            self.message = None;
        }
        let step = if len == 0 && !is_last {
            // A head without payload yet, or an empty piece in the middle. Behind the
            // latter more may stand: the caller comes again as long as bytes are taken.
            Step::More
        } else {
            Step::Piece {
                at: at.clone(),
                is_text,
                is_compressed,
                is_last,
            }
        };
        Ok((at.end, step))
    }
}

impl FrameHead {
    /// The head at the start of `input`, once all of it is there.
    fn read(input: &[u8], allows_compressed: bool) -> Result<Option<Self>, Violation> {
        let Some((&[first, second], rest)) = input.split_first_chunk() else {
            return Ok(None);
        };
        let opcode = Opcode::of(first & 0x0f).ok_or(Violation::Opcode(first & 0x0f))?;
        let is_last = first & FIN != 0;
        let is_compressed = first & RSV1 != 0;
        let may_be_compressed = allows_compressed && !opcode.is_control();
        if first & 0x30 != 0 || (is_compressed && !may_be_compressed) {
            return Err(Violation::Reserved);
        }
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & 0x7f;
        if opcode.is_control() && (!is_last || short > 125) {
            return Err(Violation::Control);
        }
        let (len, rest) = match short {
            126 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from(u16::from_be_bytes(*bytes)), rest)
            }
            127 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from_be_bytes(*bytes), rest)
            }
            short => (u64::from(short), rest),
        };
        let is_shortest = match short {
            126 => len > 125,
            127 => len > 65535 && len >> 63 == 0,
            _ => true,
        };
        if !is_shortest {
            return Err(Violation::Length);
        }
        let Some((mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Self {
            bytes: input.len() - rest.len(),
            is_last,
            is_compressed,
            opcode,
            len,
            mask: *mask,
        }))
    }
}

/// A control frame, once all of it is there.
fn read_control(input: &mut [u8], head: &FrameHead) -> Result<(usize, Step), Violation> {
    let end = head.bytes + usize::try_from(head.len).unwrap_or(usize::MAX).min(125);
    let Some(payload) = input.get_mut(head.bytes..end) else {
        return Ok((0, Step::More));
    };
    mask::apply(payload, &mut head.mask.clone());
    let step = match head.opcode {
        Opcode::Ping => Step::Ping(head.bytes..end),
        Opcode::Close => read_close(payload, head.bytes, end)?,
        _ => Step::Pong,
    };
    Ok((end, step))
}

fn read_close(payload: &[u8], start: usize, end: usize) -> Result<Step, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        if payload.is_empty() {
            return Ok(Step::Close {
                code: None,
                reason: end..end,
            });
        }
        return Err(Violation::ClosePayload);
    };
    let code = u16::from_be_bytes(*code);
    if !can_be_sent(code) {
        return Err(Violation::CloseCode(code));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Violation::Utf8);
    }
    Ok(Step::Close {
        code: Some(code),
        reason: start + 2..end,
    })
}

#[cfg(test)]
mod tests;
