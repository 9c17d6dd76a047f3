//! Byte ranges (RFC 9110 section 14): which part of a representation is sent, and how
//! several parts are framed.
//!
//! Strategy: a range set is read whole before anything is decided, since one fault
//! makes all of it void. Ranges that overlap, touch or nearly touch become one, so no
//! byte is ever sent twice and an answer is never longer than the representation and
//! its part heads: asking for the same bytes a thousand times costs the client more
//! than the server (CVE-2011-3192, "Apache killer").

mod multipart;

pub use multipart::{Multipart, is_boundary};

use crate::{
    access_log::number,
    field::{list_elements, trim_ows},
};

/// Most ranges in one request that are looked at; with more, the field is ignored.
///
/// Apache's limit is 200. Clients that ask for many (PDF viewers, zsync, package
/// managers) take a few dozen at once and cope with a whole answer.
pub const MOST_RANGES: usize = 100;

/// Ranges with a gap below this are sent as one: the head of another part would be
/// longer, with a short media type (section 15.3.7.2 allows it).
const SMALL_GAP: u64 = 80;

/// A part of a representation, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Position of the first byte.
    pub first: u64,
    /// Position of the last byte, inclusive; never before `first`.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes it holds. A range of all 2^64 bytes tells one too few.
    pub const fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether sending both as one costs no more than sending them apart.
    const fn is_near(self, other: Self) -> bool {
        self.first <= other.last.saturating_add(SMALL_GAP)
            && other.first <= self.last.saturating_add(SMALL_GAP)
    }

    fn joined(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// What a `Range` field asks for, of a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, as a 200: the field is void, asks for another unit or for too much.
    Whole,
    /// One part, as a 206 with [`write_content_range`].
    Part(ByteRange),
    /// Several parts, in the order in which they were asked for and apart from each
    /// other, as a 206 of type `multipart/byteranges`: see [`Multipart`].
    Parts(Vec<ByteRange>),
    /// 416 with [`write_unsatisfied`]: no range lies within the content.
    NotSatisfiable,
}

/// Read the value of a `Range` field for a representation of `length` bytes.
///
/// Void, and answered with the whole (section 14.2 leaves the choice): other units than
/// `bytes`, any range that breaks the grammar or ends before it starts, more than
/// [`MOST_RANGES`]. Positions beyond 2^64 are read as the largest. Of an empty
/// representation no part can be named, and it is sent whole, as Go does: some clients
/// send a range with each request.
///
/// Nothing is allocated but for several parts.
pub fn select(value: &[u8], length: u64) -> Selection {
    let Some(set) = range_set(value) else {
        return Selection::Whole;
    };
    if length == 0 {
        return Selection::Whole;
    }
    let mut parts = Parts::None;
    let mut count = 0;
    for spec in list_elements(set).filter(|spec| !spec.is_empty()) {
        count += 1;
        let Some(spec) = Spec::parse(spec).filter(|_| count <= MOST_RANGES) else {
            return Selection::Whole;
        };
        if let Some(range) = spec.within(length) {
            parts.add(range);
        }
    }
    match parts {
        Parts::None if count == 0 => Selection::Whole,
        Parts::None => Selection::NotSatisfiable,
        Parts::One(range) => Selection::Part(range),
        Parts::Many(ranges) => match ranges.as_slice() {
            [range] => Selection::Part(*range),
            _ => Selection::Parts(ranges),
        },
    }
}

/// What stands behind `bytes=`, a unit in any case (section 14.1).
fn range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, set) = trim_ows(value).split_at_checked(b"bytes".len())?;
    let set = set.strip_prefix(b"=")?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(set)
}

/// One element of a range set (section 14.1.2).
#[derive(Clone, Copy)]
enum Spec {
    /// `first-last`, or `first-` with the largest position.
    Int { first: u64, last: u64 },
    /// `-length`.
    Suffix { length: u64 },
}

impl Spec {
    fn parse(spec: &[u8]) -> Option<Self> {
        let hyphen = spec.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (spec.get(..hyphen)?, spec.get(hyphen + 1..)?);
        match (first, last) {
            ([], length) => Some(Self::Suffix {
                length: position(length)?,
            }),
            (first, []) => Some(Self::Int {
                first: position(first)?,
                last: u64::MAX,
            }),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::Int { first, last })
            }
        }
    }

    /// The part of a representation of `length` bytes, at least 1; none if it lies
    /// behind the end or is empty.
    const fn within(self, length: u64) -> Option<ByteRange> {
        let end = length - 1;
        match self {
            Self::Int { first, .. } if first > end => None,
            Self::Suffix { length: 0 } => None,
            Self::Int { first, last } => Some(ByteRange {
                first,
                last: if last < end { last } else { end },
            }),
            Self::Suffix { length: suffix } => Some(ByteRange {
                first: length.saturating_sub(suffix),
                last: end,
            }),
        }
    }
}

/// One or more digits; what does not fit is the largest number.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

/// The parts so far, no two of them near each other.
enum Parts {
    None,
    One(ByteRange),
    Many(Vec<ByteRange>),
}

impl Parts {
    fn add(&mut self, range: ByteRange) {
        match self {
            Self::None => *self = Self::One(range),
            Self::One(only) if only.is_near(range) => *only = only.joined(range),
            Self::One(only) => *self = Self::Many(vec![*only, range]),
            Self::Many(ranges) => join(ranges, range),
        }
    }
}

/// Add `range`, which takes the place of the first that it is near to. It may bring
/// others together that were apart, so they are asked again until none is near.
fn join(ranges: &mut Vec<ByteRange>, mut range: ByteRange) {
    let mut place = ranges.len();
    while let Some(near) = ranges.iter().position(|other| other.is_near(range)) {
        range = range.joined(ranges.remove(near));
        place = place.min(near);
    }
    ranges.insert(place.min(ranges.len()), range);
}

/// Append the value of `Content-Range` of a part (section 14.4): `bytes 0-499/1234`.
///
/// `length` is that of the whole representation.
pub fn write_content_range(range: ByteRange, length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes ");
    number::write(range.first, out);
    out.push(b'-');
    number::write(range.last, out);
    out.push(b'/');
    number::write(length, out);
}

/// Append the value of `Content-Range` of a 416 (section 15.5.17): `bytes */1234`.
pub fn write_unsatisfied(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes */");
    number::write(length, out);
}

#[cfg(test)]
mod tests;
