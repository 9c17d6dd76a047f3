//! Values of fields and query parameters as routes write them.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::{PathPattern, PatternError};

/// Which values a route is for.
#[derive(Clone, Debug)]
pub enum ValuePattern {
    /// `*`: any value, an empty one too.
    Any,
    /// This value.
    Exact(Vec<u8>),
    /// `~expression`: the whole value, in linear time.
    Regex(Regex),
}

impl PartialEq for ValuePattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Exact(ours), Self::Exact(theirs)) => ours == theirs,
            (Self::Regex(ours), Self::Regex(theirs)) => ours.as_str() == theirs.as_str(),
            _ => false,
        }
    }
}

impl ValuePattern {
    /// Parse `*`, a value, or `~` and a regular expression.
    ///
    /// # Errors
    ///
    /// [`PatternError`] for a bad expression.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_prefix('~') {
            None => Ok(Self::Exact(text.into())),
            Some(expression) => match PathPattern::parse_regex(expression)? {
                PathPattern::Regex(regex) => Ok(Self::Regex(regex)),
                _ => Ok(Self::Any),
            },
        }
    }

    /// Whether `value` is one of these.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => value == exact,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// The values of a query parameter, decoded as `application/x-www-form-urlencoded` is
/// (WHATWG URL section 5.1); a parameter without `=` has an empty one.
pub fn query_values<'a>(query: &'a [u8], name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query.split(|&byte| byte == b'&').filter_map(move |pair| {
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (pair.get(..at)?, pair.get(at + 1..)?),
            None => (pair, &[][..]),
        };
        let is_it = !pair.is_empty() && form_decoded(key) == name.as_bytes();
        is_it.then(|| form_decoded(value))
    })
}

/// Decode `+` and percent-encodings; a malformed one stands for itself.
fn form_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    Cow::Owned(decoded)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
