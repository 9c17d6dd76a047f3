//! Reading chunked content (RFC 9112 section 7.1).
//!
//! Strategy: a state machine over single bytes for everything that is not data;
//! data is passed over in one go. The grammar is followed to the letter, since
//! each leniency here (bare LF, stray spaces, signs, endless extensions) has been
//! somebody's request smuggling or denial of service.

mod extension;
mod trailer;

use crate::Problem;
use extension::Extension;
use trailer::Trailer;

/// What the parts around the data may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkedLimits {
    /// Longest chunk line: the size and its extensions.
    pub line_bytes: usize,
    /// Longest trailer section.
    pub trailer_bytes: usize,
    /// Most trailer fields.
    pub trailer_fields: usize,
}

impl Default for ChunkedLimits {
    /// For tests and tools. The edge gets its limits from the config.
    fn default() -> Self {
        Self {
            line_bytes: 256,
            trailer_bytes: 8 * 1024,
            trailer_fields: 32,
        }
    }
}

/// What the decoder found in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// `input[skip..skip + len]` is data, at least one byte; `skip + len` bytes are used up.
    Data {
        /// Bytes of framing before the data.
        skip: usize,
        /// Bytes of data.
        len: usize,
    },
    /// The whole input is used up and there is more to come.
    More {
        /// The length of the input.
        consumed: usize,
    },
    /// The content ended; what follows is the next request.
    Done {
        /// Bytes used up, with the last CRLF. Trailers were judged and dropped.
        consumed: usize,
    },
}

/// The state of one chunked content.
#[derive(Debug)]
pub struct ChunkedDecoder {
    limits: ChunkedLimits,
    state: State,
    /// The size read so far, then the data still to come in this chunk.
    remaining: u64,
    digits: u8,
    /// Bytes of the current chunk line, or of the trailer section.
    line_bytes: usize,
    /// Framing bytes beyond what honest chunks need; see [`EXCESS_BYTES`].
    excess_bytes: u64,
    trailer: Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension(Extension),
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailer,
    Done,
    Failed,
}

/// How much more framing than data a content may have in all.
///
/// A chunk pays in 16 bytes for its line and 2 for each byte of data, as in Go's
/// `net/http` since CVE-2023-39326: one-byte chunks pass, but not with a long
/// extension each.
const EXCESS_BYTES: u64 = 16 * 1024;

/// A `u64` has 16 hexadecimal digits; leading zeros count.
const SIZE_DIGITS: u8 = 16;

const BAD_SIZE: Problem = Problem::BadRequest("A chunk size is malformed.");
const BAD_END: Problem = Problem::BadRequest("A chunk is not as long as its size says.");
const BAD_LINE_END: Problem = Problem::BadRequest("A chunk line does not end in CRLF.");
const LINE_TOO_LONG: Problem = Problem::BadRequest("A chunk line is too long.");
const TOO_MUCH_FRAMING: Problem =
    Problem::BadRequest("The chunks hold more extensions than content.");

impl ChunkedDecoder {
    /// A decoder for one content.
    pub const fn new(limits: ChunkedLimits) -> Self {
        Self {
            limits,
            state: State::Size,
            remaining: 0,
            digits: 0,
            line_bytes: 0,
            excess_bytes: 0,
            trailer: Trailer::new(),
        }
    }

    /// Whether the content has ended.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Read on. The caller keeps what was not used up and brings it again.
    ///
    /// # Errors
    ///
    /// With the answer due, if one can still be sent; the connection must be
    /// closed. Every later call fails too.
    pub fn step(&mut self, input: &[u8]) -> Result<ChunkStep, Problem> {
        let mut position = 0;
        loop {
            if self.state == State::Done {
                return Ok(ChunkStep::Done { consumed: position });
            }
            let rest = input.get(position..).unwrap_or_default();
            let Some(&byte) = rest.first() else {
                return Ok(ChunkStep::More { consumed: position });
            };
            if self.state == State::Data {
                let len = usize::try_from(self.remaining).map_or(rest.len(), |n| n.min(rest.len()));
                self.remaining -= len as u64;
                if self.remaining == 0 {
                    self.state = State::DataReturn;
                }
                return Ok(ChunkStep::Data {
                    skip: position,
                    len,
                });
            }
            self.state = self
                .next(byte)
                .inspect_err(|_| self.state = State::Failed)?;
            position += 1;
        }
    }

    /// The state after a byte of framing.
    fn next(&mut self, byte: u8) -> Result<State, Problem> {
        match self.state {
            State::Size | State::Extension(_) => {
                self.line_bytes += 1;
                if self.line_bytes > self.limits.line_bytes {
                    return Err(LINE_TOO_LONG);
                }
                self.read_line(byte)
            }
            State::SizeLineFeed if byte == b'\n' => self.end_line(),
            State::DataReturn if byte == b'\r' => Ok(State::DataLineFeed),
            State::DataLineFeed if byte == b'\n' => {
                self.digits = 0;
                self.line_bytes = 0;
                Ok(State::Size)
            }
            State::Trailer => {
                self.line_bytes += 1;
                if self.line_bytes > self.limits.trailer_bytes {
                    return Err(trailer::TOO_LARGE);
                }
                let is_over = self.trailer.read(byte, self.limits.trailer_fields)?;
                Ok(if is_over { State::Done } else { State::Trailer })
            }
            State::SizeLineFeed => Err(BAD_LINE_END),
            State::DataReturn | State::DataLineFeed => Err(BAD_END),
            // `step` handles data, and asks no more once done.
            State::Data | State::Done | State::Failed => Err(BAD_SIZE),
        }
    }

    fn read_line(&mut self, byte: u8) -> Result<State, Problem> {
        if let State::Extension(extension) = self.state {
            return match (extension.next(byte), byte) {
                (Some(next), _) => Ok(State::Extension(next)),
                (None, b'\r') if extension.may_end() => Ok(State::SizeLineFeed),
                (None, _) => Err(Problem::BadRequest("A chunk extension is malformed.")),
            };
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLineFeed),
            _ if self.digits > 0 => {
                let first = Extension::first(byte).ok_or(BAD_SIZE)?;
                return Ok(State::Extension(first));
            }
            _ => return Err(BAD_SIZE),
        };
        if self.digits == SIZE_DIGITS {
            return Err(BAD_SIZE);
        }
        self.digits += 1;
        self.remaining = self.remaining << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn end_line(&mut self) -> Result<State, Problem> {
        let paid = self.remaining.saturating_mul(2).saturating_add(16);
        self.excess_bytes = (self.excess_bytes + self.line_bytes as u64).saturating_sub(paid);
        if self.excess_bytes > EXCESS_BYTES {
            return Err(TOO_MUCH_FRAMING);
        }
        self.line_bytes = 0;
        Ok(if self.remaining == 0 {
            State::Trailer
        } else {
            State::Data
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decode `pieces` as they come; the content and what is left over.
    fn decode<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<u8>, Vec<u8>, bool), Problem> {
        let mut decoder = ChunkedDecoder::new(ChunkedLimits::default());
        let (mut content, mut rest) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut input = piece;
            loop {
                match decoder.step(input)? {
                    ChunkStep::Data { skip, len } => {
                        assert!(len > 0);
                        content.extend_from_slice(&input[skip..skip + len]);
                        input = &input[skip + len..];
                    }
                    ChunkStep::More { consumed } => {
                        assert_eq!(consumed, input.len());
                        break;
                    }
                    ChunkStep::Done { consumed } => {
                        rest.extend_from_slice(&input[consumed..]);
                        break;
                    }
                }
            }
        }
        Ok((content, rest, decoder.is_done()))
    }

    fn whole(bytes: &str) -> Result<(String, String, bool), Problem> {
        decode([bytes.as_bytes()]).map(|(content, rest, done)| {
            (
                String::from_utf8(content).unwrap(),
                String::from_utf8(rest).unwrap(),
                done,
            )
        })
    }

    #[test]
    fn chunks_are_joined_and_the_next_request_is_left() {
        let cases = [
            ("5\r\nhello\r\n0\r\n\r\nGET", "hello", "GET"),
            ("0\r\n\r\n", "", ""),
            ("000005\r\nhello\r\n00\r\n\r\n", "hello", ""),
            (
                "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
                "01234567890123456789",
                "",
            ),
            ("1;a\r\nx\r\n0\r\n\r\n", "x", ""),
            ("1;a=b;c=\"d\\\"e;\"\r\nx\r\n0;last\r\n\r\n", "x", ""),
            ("1 ; a = b \t; c\r\nx\r\n0\r\n\r\n", "x", ""),
            ("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nrest", "x", "rest"),
        ];
        for (bytes, content, rest) in cases {
            let expected = (content.to_owned(), rest.to_owned(), true);
            assert_eq!(whole(bytes), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_malformed_passes() {
        for bytes in [
            "\r\n",
            "\n",
            " 5",
            "+5",
            "-5",
            "0x5",
            "5_0",
            "g",
            "5\n",
            "5\rx",
            "5 \r",
            "5\t\r",
            "5,",
            ";a\r\n",
            "5;\r",
            "5;a=\r",
            "5;a=\"b\r",
            "5;a=\"b\n",
            "5;a=\"\\\r",
            "5;a=\"b\"c",
            "5;a\n",
            "5;=b",
            "5;a b",
            "5;a\0",
            "5;\u{e9}",
            "1\r\nxy",
            "1\r\nx\n",
            "1\r\nx\rx",
            "1\r\nx\r\n\r\n",
            "00000000000000001",
            "0\r\n\n",
            "0\r\n\rx",
            "0\r\n A: b",
            "0\r\nA : b",
            "0\r\n: b",
            "0\r\nA\r",
            "0\r\nA: b\n",
            "0\r\nA: b\0",
            "0\r\nA: b\r\n c",
            "0\r\nA: \x7f",
        ] {
            assert_eq!(whole(bytes).map_err(|p| p.status()), Err(400), "{bytes:?}");
        }
    }

    #[test]
    fn an_unfinished_content_is_not_done() {
        for bytes in [
            "",
            "5",
            "5\r\nhel",
            "5\r\nhello",
            "0\r\n",
            "0\r\nA: b\r\n",
            "ffffffffffffffff\r\nx",
        ] {
            assert!(!whole(bytes).unwrap().2, "{bytes:?}");
        }
    }

    #[test]
    fn framing_is_bounded() {
        let long_line = format!("1;{}\r\n", "a".repeat(300));
        assert_eq!(whole(&long_line), Err(LINE_TOO_LONG));
        let extension = "a".repeat(200);
        let stuffed = format!("1;{extension}\r\nx\r\n").repeat(200);
        assert_eq!(whole(&stuffed), Err(TOO_MUCH_FRAMING));
        assert!(whole(&"1\r\nx\r\n".repeat(50_000)).is_ok());
        let trailer = format!("0\r\nA: {}\r\n", "b".repeat(9000));
        assert_eq!(whole(&trailer).map_err(|p| p.status()), Err(431));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(33));
        assert_eq!(whole(&trailers).map_err(|p| p.status()), Err(431));
    }

    #[test]
    fn after_a_failure_every_step_fails() {
        let mut decoder = ChunkedDecoder::new(ChunkedLimits::default());
        assert!(decoder.step(b"x").is_err());
        assert!(decoder.step(b"0\r\n\r\n").is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_in_any_pieces(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            size in 1usize..30,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                crate::http1::encode_chunk_prefix(&mut wire, chunk.len());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(crate::http1::CHUNK_END);
            }
            wire.extend_from_slice(crate::http1::LAST_CHUNK);
            prop_assert_eq!(decode(wire.chunks(size)), Ok((chunks.concat(), Vec::new(), true)));
        }

        #[test]
        fn any_split_gives_the_same_result(bytes in "[0-9a-f;=\" \r\nAb:]{0,40}", size in 1usize..8) {
            let expected = decode([bytes.as_bytes()]);
            prop_assert_eq!(decode(bytes.as_bytes().chunks(size)), expected);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = decode([bytes.as_slice()]);
        }
    }
}
