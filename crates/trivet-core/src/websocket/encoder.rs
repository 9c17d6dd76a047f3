//! Frames from the server: never masked (RFC 6455 section 5.1).

use super::close::MAX_REASON_BYTES;

/// What a frame is (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further piece of a message.
    Continuation = 0,
    /// The first piece of a text.
    Text = 1,
    /// The first piece of binary data.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

impl Opcode {
    pub(super) const fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// Append a frame. `first_bits` are FIN and the reserved bits, as the wire has them.
fn put(out: &mut Vec<u8>, first_bits: u8, opcode: Opcode, payload: &[u8]) {
    out.push(first_bits | opcode as u8);
    match payload.len() {
        len @ 0..=125 => out.push(u8::try_from(len).unwrap_or(125)),
        len @ 126..=65535 => {
            out.push(126);
            out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Append a frame; `is_last` ends its message.
pub fn put_frame(out: &mut Vec<u8>, opcode: Opcode, is_last: bool, payload: &[u8]) {
    put(out, if is_last { FIN } else { 0 }, opcode, payload);
}

/// Append a whole message; `is_compressed` where permessage-deflate made `payload`.
pub fn put_message(out: &mut Vec<u8>, is_text: bool, is_compressed: bool, payload: &[u8]) {
    let opcode = if is_text {
        Opcode::Text
    } else {
        Opcode::Binary
    };
    put(
        out,
        if is_compressed { FIN | RSV1 } else { FIN },
        opcode,
        payload,
    );
}

/// Append a close frame; without a code where `code` is `None`.
///
/// A reason over [`MAX_REASON_BYTES`] is cut before a character, so that the frame
/// stays whole.
pub fn put_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let mut payload = Vec::new();
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        let mut end = reason.len().min(MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        payload.extend_from_slice(reason.get(..end).unwrap_or_default().as_bytes());
    }
    put(out, FIN, Opcode::Close, &payload);
}

pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_fewest_bytes() {
        for (len, head) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65535, &[0x82, 126, 0xff, 0xff]),
            (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            put_message(&mut out, false, false, &vec![7; len]);
            assert_eq!(&out[..head.len()], head);
            assert_eq!(out.len(), head.len() + len);
        }
    }

    #[test]
    fn a_long_reason_is_cut_before_a_character() {
        let mut out = Vec::new();
        put_close(&mut out, Some(1000), &"☃".repeat(42));
        assert_eq!(out[..4], [0x88, 2 + 41 * 3, 0x03, 0xe8]);
        assert_eq!(out.len(), 4 + 41 * 3);
    }

    #[test]
    fn a_close_frame_may_have_no_code() {
        let mut out = Vec::new();
        put_close(&mut out, None, "ignored");
        assert_eq!(out, [0x88, 0]);
    }
}
