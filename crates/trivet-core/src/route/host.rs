//! Host names as routes write them.

use super::PatternError;

/// Which hosts a route is for; ports play no part, nor does the case of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Any host, and requests without one.
    Any,
    /// `example.com`, in lower case.
    Exact(Vec<u8>),
    /// `*.example.com`: any host below it, however deep, as in nginx; kept as `.example.com`.
    Below(Vec<u8>),
}

impl HostPattern {
    /// Parse `example.com`, `*.example.com`, `[::1]` or `*`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] for what cannot be a host; a port is refused, since listeners have ports.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (is_below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_address = name.starts_with('[') && name.ends_with(']') && !is_below;
        let is_name = name
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(is_label_byte));
        if !(is_name || is_address) {
            return Err(PatternError(format!(
                "has `{text}`, which is no host: write `example.com`, `*.example.com` or `*`, without a port"
            )));
        }
        Ok(if is_below {
            Self::Below(format!(".{name}").into_bytes())
        } else {
            Self::Exact(name.into_bytes())
        })
    }

    /// Whether the host of `authority` is one of these.
    pub fn matches(&self, authority: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => host(authority).eq_ignore_ascii_case(name),
            Self::Below(suffix) => {
                let host = host(authority);
                host.len() > suffix.len()
                    && host
                        .get(host.len() - suffix.len()..)
                        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
        }
    }

    /// Whether each host of `other` is one of these.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exact(_), Self::Below(_)) => false,
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Below(ours), Self::Below(theirs)) => theirs.ends_with(ours),
        }
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Host and port of an authority that the gate has accepted; the host without its final dot.
pub(super) fn split(authority: &[u8]) -> (&[u8], &[u8]) {
    let end = match authority.iter().rposition(|&byte| byte == b']') {
        Some(bracket) => bracket + 1,
        None => memchr::memchr(b':', authority).unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let port = port.strip_prefix(b":").unwrap_or(port);
    (host.strip_suffix(b".").unwrap_or(host), port)
}

fn host(authority: &[u8]) -> &[u8] {
    split(authority).0
}
