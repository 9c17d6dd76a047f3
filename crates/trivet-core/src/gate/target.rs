//! Taking the request target apart (RFC 9112 section 3.2).

use memchr::{memchr, memmem};

use super::TargetForm;
use crate::{Problem, http1::Span};

const BAD_TARGET: Problem = Problem::BadRequest("The request target is malformed.");

/// A request target in parts.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) form: TargetForm,
    pub(super) scheme: Option<Scheme>,
    /// Empty but in absolute form.
    pub(super) authority: Span,
    pub(super) path: Span,
    pub(super) query: Span,
    pub(super) has_query: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) const fn default_port(self) -> &'static [u8] {
        match self {
            Self::Http => b"80",
            Self::Https => b"443",
        }
    }
}

/// Split `span` of `buf`. The path is neither decoded nor judged yet.
pub(super) fn split(method: &[u8], span: Span, buf: &[u8]) -> Result<Target, Problem> {
    let target = span.of(buf);
    if target.iter().any(|&byte| !(0x21..0x7f).contains(&byte)) {
        return Err(BAD_TARGET);
    }
    if memchr(b'#', target).is_some() {
        return Err(Problem::BadRequest("The request target has a fragment."));
    }
    if target == b"*" {
        if method != b"OPTIONS" {
            return Err(Problem::BadRequest(
                "The request target * is for OPTIONS only.",
            ));
        }
        let form = TargetForm::Asterisk;
        return Ok(Target {
            form,
            path: span,
            ..origin(span, 0, buf)
        });
    }
    if target.starts_with(b"/") {
        return Ok(origin(span, 0, buf));
    }
    absolute(span, target, buf)
}

fn absolute(span: Span, target: &[u8], buf: &[u8]) -> Result<Target, Problem> {
    let separator = memmem::find(target, b"://").ok_or(BAD_TARGET)?;
    let (scheme, rest) = target.split_at(separator);
    let scheme = if scheme.eq_ignore_ascii_case(b"http") {
        Scheme::Http
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Scheme::Https
    } else {
        return Err(BAD_TARGET);
    };
    let authority = rest.get(3..).unwrap_or_default();
    let length = authority
        .iter()
        .position(|byte| b"/?".contains(byte))
        .unwrap_or(authority.len());
    let start = span.start as usize + separator + 3;
    Ok(Target {
        form: TargetForm::Absolute,
        scheme: Some(scheme),
        authority: Span::new(start, start + length),
        ..origin(span, separator + 3 + length, buf)
    })
}

/// Path and query from `offset` in the target on.
fn origin(span: Span, offset: usize, buf: &[u8]) -> Target {
    let start = span.start as usize + offset;
    let end = span.end as usize;
    let rest = Span::new(start, end);
    let mark = memchr(b'?', rest.of(buf));
    let path_end = mark.map_or(end, |mark| start + mark);
    Target {
        form: TargetForm::Origin,
        scheme: None,
        authority: Span::default(),
        path: Span::new(start, path_end),
        query: Span::new(mark.map_or(end, |mark| start + mark + 1), end),
        has_query: mark.is_some(),
    }
}
