//! Which authority a request is for (RFC 9110 section 7.2, RFC 9112 section 3.2).

use std::{
    net::Ipv6Addr,
    str::{FromStr, from_utf8},
};

use super::{TargetForm, target::Target};
use crate::{
    Problem,
    http1::{Span, Version},
};

/// Longest authority: a DNS name of 253 bytes, a colon and five digits, with room.
const AUTHORITY_BYTES: usize = 262;

/// The authority of the request, as a span of `buf`.
pub(super) fn effective(
    target: &Target,
    host: Option<Span>,
    version: Version,
    buf: &[u8],
) -> Result<Span, Problem> {
    let Some(host) = host else {
        return match (version, target.form) {
            (Version::Http11, _) => Err(Problem::BadRequest("The request has no Host.")),
            (Version::Http10, TargetForm::Absolute) => valid(target.authority, buf),
            (Version::Http10, _) => Ok(Span::default()),
        };
    };
    let host = valid(host, buf)?;
    let Some(scheme) = target.scheme else {
        return Ok(host);
    };
    let authority = valid(target.authority, buf)?;
    let (name, port) = split_port(authority.of(buf));
    let (host_name, host_port) = split_port(host.of(buf));
    let default = scheme.default_port();
    if !name.eq_ignore_ascii_case(host_name)
        || port.unwrap_or(default) != host_port.unwrap_or(default)
    {
        return Err(Problem::BadRequest(
            "The Host is not the one in the request target.",
        ));
    }
    Ok(authority)
}

fn valid(span: Span, buf: &[u8]) -> Result<Span, Problem> {
    if is_authority(span.of(buf)) {
        Ok(span)
    } else {
        Err(Problem::BadRequest("The Host is malformed."))
    }
}

/// Whether `authority` is `host` or `host:port`.
///
/// Narrower than RFC 3986's `reg-name`: letters, digits, `-`, `_` and `.`, with no
/// empty label, as in DNS. Commas, percent-encodings and other marks, which the
/// grammar allows and no real host has, are what Host attacks are made of. Also
/// refused: user information, IPv6 zones, an empty host (RFC 9110 section 4.2.1).
pub(crate) fn is_authority(authority: &[u8]) -> bool {
    if authority.len() > AUTHORITY_BYTES {
        return false;
    }
    let (host, port) = split_port(authority);
    is_host(host) && port.is_none_or(is_port)
}

fn is_host(host: &[u8]) -> bool {
    if let [b'[', address @ .., b']'] = host {
        return from_utf8(address).is_ok_and(|address| Ipv6Addr::from_str(address).is_ok());
    }
    let labels = host.strip_suffix(b".").unwrap_or(host);
    labels.split(|&byte| byte == b'.').all(|label| {
        !label.is_empty()
            && label
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

fn is_port(port: &[u8]) -> bool {
    port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && from_utf8(port).is_ok_and(|port| u16::from_str(port).is_ok())
}

/// Host and port. `host:` has no port: the grammar allows it to be empty.
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(colon) = memchr::memrchr(b':', authority) else {
        return (authority, None);
    };
    let (host, port) = authority.split_at(colon);
    match port {
        // A colon inside of brackets belongs to the address.
        _ if authority.ends_with(b"]") => (authority, None),
        [] | [_] => (host, None),
        [_, port @ ..] => (host, Some(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_plain_host_and_perhaps_a_port() {
        for good in [
            "x",
            "example.test",
            "example.test.",
            "EXAMPLE.test:8000",
            "127.0.0.1",
            "[::1]",
            "[::1]:443",
            "a_b",
            "xn--bcher-kva.test",
            "x:",
            "x:0",
            "x:65535",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "a..b",
            "a,b",
            "a b",
            "a/b",
            "a@b",
            "u:p@b",
            "a:b",
            "a:1:2",
            ":80",
            "a:65536",
            "a:000080",
            "a:+1",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[]",
            "[v1.a]",
            "a%41",
            "a?b",
            "a#b",
            "a\\b",
            "a;b",
            "'a'",
            "a\"b",
            "<a>",
            "*",
            "b\u{fc}cher.test",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
        assert!(!is_authority(&[b'a'; 263]));
    }
}
