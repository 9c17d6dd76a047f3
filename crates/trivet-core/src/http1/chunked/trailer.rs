//! The trailer section: judged by the rules of header fields, then dropped
//! (RFC 9112 section 7.1.2, RFC 9110 section 6.5).

use crate::{
    Problem,
    field::{is_tchar, is_value_byte},
};

pub(super) const TOO_LARGE: Problem = Problem::FieldsTooLarge("The request trailer is too large.");
const MALFORMED: Problem = Problem::BadRequest("A trailer field of the request is malformed.");

/// Where in the section we are.
#[derive(Debug)]
pub(super) struct Trailer {
    place: Place,
    fields: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    LineStart,
    Name,
    Value,
    LineFeed,
    LastLineFeed,
}

impl Trailer {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::LineStart,
            fields: 0,
        }
    }

    /// Take a byte; true if it was the section's last.
    pub(super) const fn read(&mut self, byte: u8, most_fields: usize) -> Result<bool, Problem> {
        self.place = match (self.place, byte) {
            (Place::LineStart, b'\r') => Place::LastLineFeed,
            (Place::LineStart, byte) if is_tchar(byte) => {
                self.fields += 1;
                if self.fields > most_fields {
                    return Err(TOO_LARGE);
                }
                Place::Name
            }
            (Place::Name, b':') => Place::Value,
            (Place::Name, byte) if is_tchar(byte) => Place::Name,
            (Place::Value, b'\r') => Place::LineFeed,
            (Place::Value, byte) if is_value_byte(byte) => Place::Value,
            (Place::LineFeed, b'\n') => Place::LineStart,
            (Place::LastLineFeed, b'\n') => return Ok(true),
            _ => return Err(MALFORMED),
        };
        Ok(false)
    }
}
