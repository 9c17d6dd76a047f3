//! The request gate: which requests may pass, and what of them the app may see.
//!
//! Strategy: one walk over the field lines collects what HTTP's framing and
//! routing rules need, then each rule is checked by itself. Whatever two parties
//! could understand differently is refused, never repaired, because an edge that
//! guesses is an edge that can be desynchronised (RFC 9112 section 11.2). The app
//! never gets the client's bytes: it gets what is recorded in [`Admitted`].

mod authority;
mod framing;
mod path;
mod target;

use crate::{
    Problem,
    field::{is_token, list_elements},
    http1::{Field, Head, KnownField, Span, Version},
};

pub(crate) use authority::is_authority;

/// What an operator may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatePolicy {
    /// What happens to field names with an underscore.
    pub underscores: UnderscorePolicy,
}

/// What to do with `X_Real_Ip`, which CGI and WSGI cannot tell from `X-Real-Ip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnderscorePolicy {
    /// Let the app see it, unless it would pass for a field Trivet knows.
    Allow,
    /// Hide the field from the app, as nginx does.
    #[default]
    Drop,
    /// Refuse the request.
    Refuse,
}

/// Where the content ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No content.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// The form of the request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    #[default]
    Origin,
    /// `http://host/path?query`.
    Absolute,
    /// `*`, with OPTIONS only.
    Asterisk,
}

/// A request that passed the gate. Made once per connection, filled per request.
#[derive(Debug, Default)]
pub struct Admitted {
    /// Where the content ends.
    pub framing: Framing,
    /// The form of the target.
    pub form: TargetForm,
    /// Whether the client wants the connection kept (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends content.
    pub expects_continue: bool,
    /// The authority as sent: `Host`, or the target's own in absolute form.
    /// Empty only in HTTP/1.0 without `Host`.
    pub host: Span,
    /// The path, percent-decoded once, without dot segments; starts with `/`,
    /// or is `*`.
    pub path: Vec<u8>,
    /// The path as sent, without the query. Empty in absolute form without a path.
    pub raw_path: Span,
    /// The query as sent, without `?`.
    pub query: Span,
    /// Whether the client asks to upgrade the connection (RFC 9110 section 7.8).
    pub upgrade: bool,
    /// Indices into [`Head::fields`] of the field lines the app may see.
    pub forward: Vec<u16>,
}

/// Judge a request. On success `out` describes it, whatever it held before.
///
/// `head` must come from [`Head::parse`] on `buf`.
///
/// # Errors
///
/// With the answer due. `out` then holds nothing of use, and the connection must
/// be closed, since the request's end may be in doubt.
pub fn admit(
    head: &Head,
    buf: &[u8],
    policy: &GatePolicy,
    out: &mut Admitted,
) -> Result<(), Problem> {
    out.path.clear();
    out.forward.clear();
    let method = head.method.of(buf);
    if method == b"CONNECT" {
        return Err(Problem::NotImplemented("This server is not a tunnel."));
    }
    let seen = Seen::collect(head, buf)?;
    let target = target::split(method, head.target, buf)?;
    out.form = target.form;
    out.raw_path = target.path;
    out.query = target.query;
    out.host = authority::effective(&target, seen.host, head.version, buf)?;
    path::decode(&target, method, buf, &mut out.path)?;
    out.framing = framing::decide(&seen, head.version)?;
    out.keep_alive = match head.version {
        Version::Http11 => !seen.close,
        Version::Http10 => seen.keep_alive && !seen.close,
    };
    let is_11 = head.version == Version::Http11;
    // Nothing to wait for without content (RFC 9110 section 10.1.1).
    let has_content = !matches!(out.framing, Framing::None | Framing::Length(0));
    out.expects_continue = seen.expects_continue && is_11 && has_content;
    out.upgrade = is_11 && seen.upgrade_option && seen.upgrade_field;
    choose_fields(head, buf, *policy, &seen, out)
}

/// What one walk over the field lines found.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent thing a field said"
)]
struct Seen<'a> {
    host: Option<Span>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
    upgrade_field: bool,
    expects_continue: bool,
    /// Whether `Connection` names fields other than the usual ones.
    names_fields: bool,
}

impl<'a> Seen<'a> {
    fn collect(head: &Head, buf: &'a [u8]) -> Result<Self, Problem> {
        let mut seen = Self::default();
        for field in &head.fields {
            let value = field.value.of(buf);
            match field.known {
                KnownField::Connection => seen.read_connection(value),
                KnownField::ContentLength => {
                    once(
                        &mut seen.content_length,
                        value,
                        "The request has more than one Content-Length.",
                    )?;
                }
                KnownField::Expect => {
                    if !value.eq_ignore_ascii_case(b"100-continue")
                        && head.version == Version::Http11
                    {
                        return Err(Problem::ExpectationFailed);
                    }
                    seen.expects_continue = true;
                }
                KnownField::Host => {
                    once(
                        &mut seen.host,
                        field.value,
                        "The request has more than one Host.",
                    )?;
                }
                KnownField::TransferEncoding => {
                    once(
                        &mut seen.transfer_encoding,
                        value,
                        "The request has more than one Transfer-Encoding.",
                    )?;
                }
                KnownField::Upgrade => seen.upgrade_field = !value.is_empty(),
                _ => {}
            }
        }
        Ok(seen)
    }

    /// Connection options are tokens in any case (RFC 9110 section 7.6.1).
    fn read_connection(&mut self, value: &[u8]) {
        for option in list_elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_option = true;
            } else if is_token(option) {
                self.names_fields = true;
            }
        }
    }
}

/// Keep the only value of a field that must not repeat.
///
/// Equal copies are refused too: some parties take the first, some the last, some
/// join them (RFC 9112 sections 3.2 and 6.3).
fn once<T>(slot: &mut Option<T>, value: T, refusal: &'static str) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::BadRequest(refusal)),
    }
}

/// Note which field lines the app may see.
fn choose_fields(
    head: &Head,
    buf: &[u8],
    policy: GatePolicy,
    seen: &Seen<'_>,
    out: &mut Admitted,
) -> Result<(), Problem> {
    for (index, field) in (0u16..).zip(&head.fields) {
        let name = field.name.of(buf);
        let visible = match field.known {
            KnownField::Upgrade => out.upgrade,
            KnownField::Other => may_pass_underscores(name, policy)?,
            known => !is_hop_by_hop(known),
        };
        if visible && !(seen.names_fields && is_named_by_connection(head, buf, field)) {
            out.forward.push(index);
        }
    }
    Ok(())
}

/// Fields for one connection only (RFC 9110 section 7.6.1), and `Proxy`, which
/// CGI's successors would show as `HTTP_PROXY`, a variable that HTTP clients obey
/// (httpoxy, CVE-2016-5385).
pub(crate) const fn is_hop_by_hop(known: KnownField) -> bool {
    matches!(
        known,
        KnownField::Connection
            | KnownField::Http2Settings
            | KnownField::KeepAlive
            | KnownField::Proxy
            | KnownField::ProxyConnection
            | KnownField::Te
            | KnownField::Trailer
            | KnownField::TransferEncoding
            | KnownField::Upgrade
    )
}

/// Whether `Connection` claims `field` for this hop.
///
/// Not so for fields that the edge itself relies on: a client could otherwise
/// make it drop what a proxy in front has added.
fn is_named_by_connection(head: &Head, buf: &[u8], field: &Field) -> bool {
    if matches!(
        field.known,
        KnownField::ContentLength | KnownField::ContentType | KnownField::Host
    ) || crate::forwarded::is_forwarding_field(field.known)
    {
        return false;
    }
    let name = field.name.of(buf);
    head.values(buf, KnownField::Connection)
        .flat_map(list_elements)
        .any(|option| option.eq_ignore_ascii_case(name))
}

fn may_pass_underscores(name: &[u8], policy: GatePolicy) -> Result<bool, Problem> {
    if memchr::memchr(b'_', name).is_none() {
        return Ok(true);
    }
    match policy.underscores {
        UnderscorePolicy::Allow => Ok(!is_alias(name)),
        UnderscorePolicy::Drop => Ok(false),
        UnderscorePolicy::Refuse => Err(Problem::BadRequest(
            "A field name in the request has an underscore.",
        )),
    }
}

/// Whether `name` would pass for a known field once `_` and `-` are the same.
fn is_alias(name: &[u8]) -> bool {
    KnownField::ALL.iter().skip(1).any(|known| {
        let known = known.name().as_bytes();
        known.len() == name.len()
            && known.iter().zip(name).all(|(&known, &byte)| {
                known == byte.to_ascii_lowercase() || (known == b'-' && byte == b'_')
            })
    })
}

#[cfg(test)]
mod tests;
