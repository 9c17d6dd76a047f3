//! Which requests a route is for.
//!
//! A route names hosts, a path, methods, field values, query parameters and
//! client addresses; each part that is there must hold. Matching is a pure
//! question about one request, so that the edge and `trivet explain` ask the
//! same code. What follows from a match is not decided here.

mod field_edit;
mod host;
mod path;
mod template;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;

pub use field_edit::{Change, FieldChange, FieldEdits, Message, check_changeable};
pub use host::HostPattern;
pub use path::PathPattern;
pub use template::{Template, TemplateError, Use};
pub use value::{ValuePattern, query_values};

/// Why a pattern cannot be used: completes "`option` …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub String);

/// What a request is judged by.
pub struct Request<'a> {
    /// The authority: host, and port if there is one; empty for none.
    pub authority: &'a [u8],
    /// Whether it came over TLS, as far as a trusted proxy can be believed.
    pub is_secure: bool,
    /// The method, which is case-sensitive (RFC 9110 section 9.1).
    pub method: &'a [u8],
    /// The path, percent-decoded once, without dot segments.
    pub path: &'a [u8],
    /// The query as sent, without `?`.
    pub query: &'a [u8],
    /// Whether a line of the field with this name has such a value.
    pub has_field: &'a dyn Fn(&str, &ValuePattern) -> bool,
    /// Whether the client's address is in the address list with this number.
    pub is_listed: &'a dyn Fn(u32) -> bool,
}

impl Request<'_> {
    /// The host of the authority, without port.
    pub fn hostname(&self) -> &[u8] {
        host::split(self.authority).0
    }

    /// The port of the authority; empty for none.
    pub fn port(&self) -> &[u8] {
        host::split(self.authority).1
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("authority", &String::from_utf8_lossy(self.authority))
            .field("method", &String::from_utf8_lossy(self.method))
            .field("path", &String::from_utf8_lossy(self.path))
            .field("query", &String::from_utf8_lossy(self.query))
            .finish_non_exhaustive()
    }
}

/// The requests that a route is for; an empty part allows anything.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// One of these hosts.
    pub hosts: Vec<HostPattern>,
    /// Only over TLS, or only in clear.
    pub secure: Option<bool>,
    /// This path.
    pub path: Option<PathPattern>,
    /// One of these methods.
    pub methods: Vec<Vec<u8>>,
    /// Each of these fields has such a value.
    pub fields: Vec<(String, ValuePattern)>,
    /// Each of these query parameters has such a value.
    pub query: Vec<(String, ValuePattern)>,
    /// The client's address is in one of these lists.
    pub clients: Vec<u32>,
}

/// The part of a [`Match`] that does not hold for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The client's address.
    Client,
    /// A field's value.
    Field,
    /// The host.
    Host,
    /// The method.
    Method,
    /// The path.
    Path,
    /// A query parameter.
    Query,
    /// Whether TLS was used.
    Secure,
}

impl Part {
    /// The word for it, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Field => "field",
            Self::Host => "host",
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::Secure => "secure",
        }
    }
}

impl Match {
    /// Say whether the route is for `request`; the cheapest parts are asked first.
    ///
    /// # Errors
    ///
    /// With the first part that does not hold.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Part> {
        if let Some(path) = &self.path {
            holds(path.matches(request.path), Part::Path)?;
        }
        if !self.methods.is_empty() {
            let allowed = self.methods.iter().any(|method| method == request.method);
            holds(allowed, Part::Method)?;
        }
        if !self.hosts.is_empty() {
            let allowed = self
                .hosts
                .iter()
                .any(|host| host.matches(request.authority));
            holds(allowed, Part::Host)?;
        }
        if let Some(secure) = self.secure {
            holds(secure == request.is_secure, Part::Secure)?;
        }
        for (name, pattern) in &self.fields {
            holds((request.has_field)(name, pattern), Part::Field)?;
        }
        for (name, pattern) in &self.query {
            let found = query_values(request.query, name).any(|value| pattern.matches(&value));
            holds(found, Part::Query)?;
        }
        if !self.clients.is_empty() {
            let listed = self.clients.iter().any(|&list| (request.is_listed)(list));
            holds(listed, Part::Client)?;
        }
        Ok(())
    }

    /// Whether every request that `other` is for is one of ours for certain, so that a route
    /// behind this one can never be reached.
    ///
    /// Only parts that can be compared as they are written are judged: `false` is no proof.
    pub fn covers(&self, other: &Self) -> bool {
        let path = match (&self.path, &other.path) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => ours.covers(theirs),
        };
        let hosts = self.hosts.is_empty()
            || (!other.hosts.is_empty()
                && other
                    .hosts
                    .iter()
                    .all(|theirs| self.hosts.iter().any(|ours| ours.covers(theirs))));
        path && hosts
            && (self.secure.is_none() || self.secure == other.secure)
            && is_subset(&other.methods, &self.methods)
            && is_subset(&other.clients, &self.clients)
            && self.fields.iter().all(|part| other.fields.contains(part))
            && self.query.iter().all(|part| other.query.contains(part))
    }
}

/// Whether all of `some` are among `all`, where an empty list means everything.
fn is_subset<T: PartialEq>(some: &[T], all: &[T]) -> bool {
    all.is_empty() || (!some.is_empty() && some.iter().all(|each| all.contains(each)))
}

fn holds(it_does: bool, part: Part) -> Result<(), Part> {
    if it_does { Ok(()) } else { Err(part) }
}
