//! Paths as routes write them.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

use super::PatternError;

/// Which paths a route is for. Paths are compared decoded, byte by byte.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// `/about`: this path.
    Exact(Vec<u8>),
    /// `/static/*`: what begins with `/static/`.
    Prefix(Vec<u8>),
    /// `/users/{id}/files/{name*}`: segments, some of them with names.
    Segments(Vec<Segment>),
    /// A regular expression that holds for the whole path, in linear time.
    Regex(Regex),
}

/// A segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(Vec<u8>),
    /// One segment that is not empty, with a name.
    Named(String),
    /// All that is left, slashes too; the last one.
    Rest(String),
}

/// A compiled expression may take so much memory: far more than routes need,
/// far less than `(a{1000}){1000}` wants.
const REGEX_BYTES: usize = 1 << 20;

impl PathPattern {
    /// Parse an exact path, a prefix that ends with `*`, or a pattern with `{names}`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.starts_with('/') {
            return Err(PatternError(format!(
                "must begin with `/`, not be `{text}`"
            )));
        }
        if text.contains(['?', '#']) {
            return Err(PatternError(format!(
                "has `{text}`, and a path holds neither `?` nor `#`"
            )));
        }
        if text.contains(['{', '}']) {
            return segments(text).map(Self::Segments);
        }
        match text.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => Ok(Self::Prefix(prefix.into())),
            None if !text.contains('*') => Ok(Self::Exact(text.into())),
            _ => Err(PatternError(format!(
                "has `{text}`, where `*` is not at the end: write `{{name}}` for one segment"
            ))),
        }
    }

    /// Compile a regular expression, which must hold for the whole path.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with what the expression's parser says.
    pub fn parse_regex(text: &str) -> Result<Self, PatternError> {
        // Checked by itself first: `a)(b` must not be made whole by our brackets.
        let compile = |text: &str| {
            RegexBuilder::new(text)
                .size_limit(REGEX_BYTES)
                .build()
                .map_err(|error| {
                    let told = error.to_string();
                    let reason = told.lines().last().unwrap_or_default().trim();
                    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                    PatternError(format!("is no regular expression: `{text}`: {reason}"))
                })
        };
        compile(text)?;
        compile(&format!(r"\A(?:{text})\z")).map(Self::Regex)
    }

    /// Whether `path` is one of these.
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Segments(segments) => captured(segments, path, |_, _| ()),
            Self::Regex(regex) => regex.is_match(path),
        }
    }

    /// The names that [`PathPattern::capture`] knows.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Exact(_) | Self::Prefix(_) => Vec::new(),
            Self::Segments(segments) => segments
                .iter()
                .filter_map(|segment| match segment {
                    Segment::Literal(_) => None,
                    Segment::Named(name) | Segment::Rest(name) => Some(name.as_str()),
                })
                .collect(),
            Self::Regex(regex) => regex.capture_names().flatten().collect(),
        }
    }

    /// What the named part of `path` holds; `None` without such a name or match.
    pub fn capture<'a>(&self, path: &'a [u8], name: &str) -> Option<&'a [u8]> {
        match self {
            Self::Exact(_) | Self::Prefix(_) => None,
            Self::Segments(segments) => {
                let mut found = None;
                captured(segments, path, |each, value| {
                    if each == name {
                        found = Some(value);
                    }
                })
                .then_some(found)?
            }
            Self::Regex(regex) => {
                let group = regex.capture_names().position(|each| each == Some(name))?;
                // A group that took no part in the match holds nothing.
                let found = regex.captures(path)?.get(group);
                Some(found.map_or(&[][..], |found| found.as_bytes()))
            }
        }
    }

    /// Whether each path of `other` is one of these, as far as it can be told.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(ours), _) => other.literal_start().starts_with(ours),
            (_, Self::Exact(path)) => self.matches(path),
            (Self::Segments(ours), Self::Segments(theirs)) => same_shape(ours, theirs),
            (Self::Regex(ours), Self::Regex(theirs)) => ours.as_str() == theirs.as_str(),
            _ => false,
        }
    }

    /// The bytes that each of its paths begins with.
    fn literal_start(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path.into(),
            Self::Segments(segments) => {
                let mut start = Vec::new();
                for segment in segments {
                    start.push(b'/');
                    match segment {
                        Segment::Literal(text) => start.extend_from_slice(text),
                        Segment::Named(_) | Segment::Rest(_) => break,
                    }
                }
                start.into()
            }
            Self::Regex(_) => Cow::Borrowed(&[]),
        }
    }
}

fn segments(text: &str) -> Result<Vec<Segment>, PatternError> {
    let wrong = |why: &str| PatternError(format!("has `{text}`, where {why}"));
    let mut names = Vec::new();
    let mut found = Vec::new();
    let mut parts = text.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let Some(name) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        else {
            if part.contains(['{', '}', '*']) {
                return Err(wrong("a name fills a whole segment: `/{name}/`"));
            }
            found.push(Segment::Literal(part.into()));
            continue;
        };
        let (name, is_rest) = match name.strip_suffix('*') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_word = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_word || name.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return Err(wrong("a name is made of letters, digits and `_`"));
        }
        if names.contains(&name) {
            return Err(wrong("a name comes twice"));
        }
        if is_rest && parts.peek().is_some() {
            return Err(wrong("what takes all the rest is not the last segment"));
        }
        names.push(name);
        let name = name.to_owned();
        found.push(if is_rest {
            Segment::Rest(name)
        } else {
            Segment::Named(name)
        });
    }
    Ok(found)
}

/// Match the segments, telling each named value; `false` where they do not fit.
fn captured<'a>(
    segments: &[Segment],
    path: &'a [u8],
    mut tell: impl FnMut(&str, &'a [u8]),
) -> bool {
    let mut rest = Some(path.strip_prefix(b"/").unwrap_or(path));
    for segment in segments {
        let Some(left) = rest else { return false };
        let (part, behind) = match memchr::memchr(b'/', left) {
            Some(slash) => {
                let (part, behind) = left.split_at(slash);
                (part, behind.get(1..))
            }
            None => (left, None),
        };
        match segment {
            Segment::Literal(text) if part == text => rest = behind,
            Segment::Named(name) if !part.is_empty() => {
                tell(name, part);
                rest = behind;
            }
            Segment::Literal(_) | Segment::Named(_) => return false,
            Segment::Rest(name) => {
                tell(name, left);
                return true;
            }
        }
    }
    rest.is_none()
}

fn same_shape(ours: &[Segment], theirs: &[Segment]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|pair| match pair {
            (Segment::Named(_), Segment::Named(_)) | (Segment::Rest(_), Segment::Rest(_)) => true,
            (ours, theirs) => ours == theirs,
        })
}
