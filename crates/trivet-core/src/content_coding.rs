//! Content codings (RFC 9110 sections 8.4 and 12.5.3): which one a client gets, and
//! what may be compressed at all.
//!
//! For files with precompressed siblings, [`negotiate`] chooses among those that are
//! there and [`Coding::extension`] names them; each has a strong entity tag of its own
//! ([`EntityTag::write_with_suffix`] with [`Coding::name`]). For content that is
//! compressed on its way, [`judge`] says whether it may be, and its tag turns weak
//! ([`EntityTag::weakened`]); [`plan`] and [`HeadChange`] put that together, and [`Encoder`]
//! makes the bytes. In both cases every answer that could have been another
//! one says so: [`write_vary`].
//!
//! [`EntityTag::write_with_suffix`]: crate::conditional::EntityTag::write_with_suffix
//! [`EntityTag::weakened`]: crate::conditional::EntityTag::weakened

mod compressible;
mod encoder;
mod response;
mod vary;

pub use compressible::{
    CompressionPolicy, Content, MediaRange, NotCompressed, forbids_transform, judge,
};
pub use encoder::{Encoder, EncoderFailed, Levels, stream_bytes};
pub use response::{HeadChange, Plan, plan};
pub use vary::{varies_by, write_vary};

use crate::field::{list_elements, trim_ows};

/// A content coding that Trivet makes, or sends as it lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// None.
    Identity,
    /// Zstandard (RFC 8878), with a window of at most 8 MiB (RFC 9659).
    Zstd,
    /// Brotli (RFC 7932).
    Br,
    /// Gzip (RFC 1952); `x-gzip` is the same (RFC 9110 section 8.4.1.3).
    Gzip,
}

impl Coding {
    /// Every coding, at the place of its number.
    pub const ALL: [Self; COUNT] = [Self::Identity, Self::Zstd, Self::Br, Self::Gzip];

    /// Its name in `Content-Encoding`. For `Identity`, no such field is sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }

    /// How a precompressed sibling's name ends, after that of the file: `.br`. Empty
    /// for `Identity`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Zstd => ".zst",
            Self::Br => ".br",
            Self::Gzip => ".gz",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        let is = |coding: &Self| name.eq_ignore_ascii_case(coding.name().as_bytes());
        Self::ALL.into_iter().find(is)
    }
}

const COUNT: usize = 4;

/// Choose the coding of an answer (RFC 9110 section 12.5.3).
///
/// `accept_encoding` are the values of all field lines of that name; `available` are
/// the codings that can be sent beside identity, the server's favourite first (one that
/// is `Identity` counts for nothing). The client's weights decide first, the server's
/// order among equals. Identity that the client does not mention is the last choice.
///
/// `None` if the client refuses identity too and no other suits it: a 406 is due
/// (section 15.5.7), with `Vary`. Without the field, anything would do, and identity is
/// sent: who does not ask for a coding may not know any.
///
/// An element that breaks the grammar, such as one whose weight is no number between 0
/// and 1 of at most three decimals, is as if it were not there. Of two elements with
/// the same name the first counts.
pub fn negotiate<'a>(
    accept_encoding: impl IntoIterator<Item = &'a [u8]>,
    available: &[Coding],
) -> Option<Coding> {
    let mut accepted = Accepted::default();
    for line in accept_encoding {
        for element in list_elements(line) {
            accepted.add(element);
        }
    }
    let identity = accepted.identity();
    let mut best = None;
    let mut weight_of_best = 0;
    for &coding in available {
        let weight = accepted.weight(coding);
        if coding != Coding::Identity && weight > weight_of_best {
            (best, weight_of_best) = (Some(coding), weight);
        }
    }
    match identity {
        Identity::Weight(weight) if weight > weight_of_best => Some(Coding::Identity),
        Identity::Unmentioned if best.is_none() => Some(Coding::Identity),
        _ => best,
    }
}

/// What the client accepts. Weights are in thousandths.
#[derive(Default)]
struct Accepted {
    codings: [Option<u16>; COUNT],
    any: Option<u16>,
}

enum Identity {
    Unmentioned,
    Weight(u16),
}

impl Accepted {
    fn add(&mut self, element: &[u8]) {
        let (name, weight) = match element.iter().position(|&byte| byte == b';') {
            None => (element, Some(1000)),
            Some(at) => {
                let (name, parameter) = element.split_at(at);
                (trim_ows(name), parameter.get(1..).and_then(weight))
            }
        };
        let Some(weight) = weight else { return };
        let place = if name == b"*" {
            Some(&mut self.any)
        } else {
            Coding::of(name).and_then(|coding| self.codings.get_mut(coding as usize))
        };
        if let Some(place) = place {
            place.get_or_insert(weight);
        }
    }

    fn mentioned(&self, coding: Coding) -> Option<u16> {
        let own = self.codings.get(coding as usize).copied().flatten();
        own.or(self.any)
    }

    fn weight(&self, coding: Coding) -> u16 {
        self.mentioned(coding).unwrap_or(0)
    }

    fn identity(&self) -> Identity {
        self.mentioned(Coding::Identity)
            .map_or(Identity::Unmentioned, Identity::Weight)
    }
}

/// `q=0.5` in thousandths (RFC 9110 section 12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole, decimals @ ..] = trim_ows(parameter) else {
        return None;
    };
    let decimals = match decimals {
        [] => decimals,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = decimals.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    match (whole, thousandths) {
        (b'0', _) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
