//! Conditional requests (RFC 9110 section 13): whether the client has the
//! representation already, and whether it may have a range of it.
//!
//! Strategy: one walk over the field lines answers each condition as far as it can be
//! answered line by line, without keeping any list; then the conditions are asked in
//! the order of section 13.2.2.

mod entity_tag;

pub use entity_tag::EntityTag;
pub(crate) use entity_tag::lists_weak_form;
use entity_tag::{Listed, listed};

use crate::{field::trim_ows, http_date, http1::KnownField};

/// What is known of the state of the representation that a request selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// Its entity tag, as it would be sent: that of the coding that is sent.
    pub etag: Option<EntityTag<'a>>,
    /// Its date of last modification as it would be sent, in seconds since 1970; see
    /// [`last_modified`].
    pub last_modified_s: Option<u64>,
}

/// The date of last modification that may be sent at `now_s` for what was changed at
/// `modified_s`, both in seconds since 1970.
///
/// None while that second lasts, and none from the future. So no client ever holds a
/// date that two states share: each that is sent is a strong validator (RFC 9110
/// sections 8.8.2.1 and 8.8.2.2), and fit for `If-Range`.
pub const fn last_modified(modified_s: u64, now_s: u64) -> Option<u64> {
    if modified_s < now_s {
        Some(modified_s)
    } else {
        None
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// 304: the client has this state already. The content stays away; `ETag`,
    /// `Cache-Control`, `Vary` and `Date` are sent as with a 200 (section 15.4.5).
    NotModified,
    /// 412: a condition of the client's does not hold, nothing is done.
    PreconditionFailed,
    /// The method is performed.
    Proceed {
        /// The value of `Range`, if one is to be honoured: the method is GET, it was
        /// sent once, and `If-Range` does not stand against it.
        range: Option<&'a [u8]>,
    },
}

/// Judge the conditions in the field lines of a request, in the order of precedence of
/// RFC 9110 section 13.2.2.
///
/// `fields` are its field lines in their order, by name and value; those that set no
/// condition are passed over. `validators` describe the state that is there: for what
/// does not exist, don't ask (then `If-Match` fails and nothing else matters). Ask
/// after all other checks, when the answer without conditions would be a 2xx (section
/// 13.2.1). `now_s`, in seconds since 1970, is for years of two digits only.
///
/// What is malformed: a date, or more than one of them, is as if it had not been sent
/// (sections 13.1.3 to 13.1.5). A list of entity tags matches nothing, so that the
/// client of a GET gets the whole representation, and no other method is performed on a
/// condition that nobody understood.
pub fn evaluate<'a>(
    method: &[u8],
    fields: impl IntoIterator<Item = (KnownField, &'a [u8])>,
    validators: &Validators<'_>,
    now_s: u64,
) -> Verdict<'a> {
    let is_get = method == b"GET";
    let is_safe_read = is_get || method == b"HEAD";
    if matches!(method, b"CONNECT" | b"OPTIONS" | b"TRACE") {
        // They select no representation (section 13.2.1).
        return Verdict::Proceed { range: None };
    }
    let asked = Asked::collect(fields, validators);

    match asked.if_match {
        Some(Listed::Yes) => {}
        Some(Listed::No | Listed::Malformed) => return Verdict::PreconditionFailed,
        None => {
            if let Some(false) = asked.if_unmodified_since.unchanged(validators, now_s) {
                return Verdict::PreconditionFailed;
            }
        }
    }
    match asked.if_none_match {
        Some(Listed::Yes) if is_safe_read => return Verdict::NotModified,
        Some(Listed::Yes) => return Verdict::PreconditionFailed,
        Some(Listed::Malformed) if !is_safe_read => return Verdict::PreconditionFailed,
        Some(Listed::No | Listed::Malformed) => {}
        None => {
            if is_safe_read && asked.if_modified_since.unchanged(validators, now_s) == Some(true) {
                return Verdict::NotModified;
            }
        }
    }
    let honours_range = is_get && asked.if_range.holds(validators, now_s);
    Verdict::Proceed {
        range: asked.range.once().filter(|_| honours_range),
    }
}

/// What one walk over the field lines found.
#[derive(Default)]
struct Asked<'a> {
    if_match: Option<Listed>,
    if_none_match: Option<Listed>,
    if_modified_since: Single<'a>,
    if_unmodified_since: Single<'a>,
    if_range: Single<'a>,
    range: Single<'a>,
}

impl<'a> Asked<'a> {
    fn collect(
        fields: impl IntoIterator<Item = (KnownField, &'a [u8])>,
        validators: &Validators<'_>,
    ) -> Self {
        let mut asked = Self::default();
        for (known, value) in fields {
            match known {
                KnownField::IfMatch => {
                    let line = listed(value, |tag| {
                        validators.etag.is_some_and(|etag| tag.is_strongly(etag))
                    });
                    asked.if_match = Some(both(asked.if_match, line));
                }
                KnownField::IfNoneMatch => {
                    let line = listed(value, |tag| {
                        validators.etag.is_some_and(|etag| tag.is_weakly(etag))
                    });
                    asked.if_none_match = Some(both(asked.if_none_match, line));
                }
                KnownField::IfModifiedSince => asked.if_modified_since.add(value),
                KnownField::IfUnmodifiedSince => asked.if_unmodified_since.add(value),
                KnownField::IfRange => asked.if_range.add(value),
                KnownField::Range => asked.range.add(value),
                _ => {}
            }
        }
        asked
    }
}

/// Two field lines are one list (section 5.3), and a fault in it is one in all of it.
const fn both(before: Option<Listed>, line: Listed) -> Listed {
    match (before, line) {
        (Some(Listed::Malformed), _) | (_, Listed::Malformed) => Listed::Malformed,
        (Some(Listed::Yes), _) | (_, Listed::Yes) => Listed::Yes,
        (Some(Listed::No) | None, Listed::No) => Listed::No,
    }
}

/// A field that may be sent once.
#[derive(Clone, Copy, Default)]
enum Single<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Single<'a> {
    const fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Once(trim_ows(value)),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    const fn once(self) -> Option<&'a [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }

    /// Whether nothing was changed after this date; `None` if it is not one, or if
    /// nobody knows when.
    fn unchanged(self, validators: &Validators<'_>, now_s: u64) -> Option<bool> {
        let since_s = http_date::parse(self.once()?, now_s)?;
        Some(validators.last_modified_s? <= since_s)
    }

    /// Whether `If-Range` lets a range through (section 13.1.5): the tag compares
    /// strongly, or the date is exactly the one we send. What cannot be read names no
    /// state, so the client gets the whole.
    fn holds(self, validators: &Validators<'_>, now_s: u64) -> bool {
        match self {
            Self::Absent => true,
            Self::Repeated => false,
            Self::Once(value) => {
                if let Some(tag) = EntityTag::parse(value) {
                    return validators.etag.is_some_and(|etag| tag.is_strongly(etag));
                }
                let date_s = http_date::parse(value, now_s);
                date_s.is_some() && date_s == validators.last_modified_s
            }
        }
    }
}

#[cfg(test)]
mod tests;
