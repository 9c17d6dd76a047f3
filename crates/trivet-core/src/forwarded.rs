//! What trusted proxies in front tell about the client.
//!
//! Strategy: nothing is believed unless the peer is trusted. Then the chain of
//! addresses is walked from the right, where the nearest proxy wrote, to the first
//! address that is not a trusted proxy's: everything to the left of it came from
//! that client and may be invented. A value that is no address ends the walk.

mod node;
mod trusted;

use std::net::IpAddr;

use crate::{
    field::trim_ows,
    gate::is_authority,
    http1::{Head, KnownField, Span},
};
use node::Node;
pub use trusted::TrustedProxies;
pub(crate) use trusted::{LOOPBACK, PRIVATE};

/// Who sent the request, as far as can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address; `None` for a Unix socket without a trusted word.
    pub addr: Option<IpAddr>,
    /// The client's port; 0 if a proxy did not tell it.
    pub port: u16,
    /// `http` or `https`, as the client spoke it.
    pub scheme: &'static str,
    /// The authority the client asked for, if a proxy told it.
    pub host: Option<Span>,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
}

/// Whether proxies tell about the client in this field. From an untrusted peer,
/// such fields must not reach the app.
pub const fn is_forwarding_field(known: KnownField) -> bool {
    matches!(
        known,
        KnownField::Forwarded
            | KnownField::XForwardedFor
            | KnownField::XForwardedHost
            | KnownField::XForwardedPort
            | KnownField::XForwardedPrefix
            | KnownField::XForwardedProto
            | KnownField::XRealIp
    )
}

impl TrustedProxies {
    /// Tell who the client is.
    ///
    /// `peer` is the other end of the connection, `None` on a Unix socket. Of
    /// several kinds of fields one is read: `X-Forwarded-*` first, since a proxy
    /// that appends to it often lets a client's `Forwarded` through untouched,
    /// then `Forwarded` (RFC 7239), then `X-Real-IP`.
    pub fn resolve(
        &self,
        peer: Option<IpAddr>,
        peer_port: u16,
        default_scheme: &'static str,
        head: &Head,
        buf: &[u8],
    ) -> Client {
        let peer = peer.map(|peer| peer.to_canonical());
        let direct = Client {
            addr: peer,
            port: peer_port,
            scheme: default_scheme,
            host: None,
            trusted: self.trusts_peer(peer),
        };
        if !direct.trusted
            || !head
                .fields
                .iter()
                .any(|field| is_forwarding_field(field.known))
        {
            return direct;
        }
        let has = |known| head.fields.iter().any(|field| field.known == known);
        if has(KnownField::XForwardedFor) || !has(KnownField::Forwarded) {
            self.by_x_forwarded(direct, head, buf)
        } else {
            self.by_forwarded(direct, head, buf)
        }
    }

    fn by_x_forwarded(&self, direct: Client, head: &Head, buf: &[u8]) -> Client {
        let mut client = direct;
        let mut hops = 0;
        for element in from_the_right(head, buf, KnownField::XForwardedFor) {
            hops += 1;
            let Some(node) = Node::parse(element) else {
                break;
            };
            client.adopt(node);
            if !self.trusts(node.addr) {
                break;
            }
        }
        if hops == 0 {
            // No chain: a single address will do.
            let real_ip = from_the_right(head, buf, KnownField::XRealIp).next();
            if let Some(node) = real_ip.and_then(Node::parse) {
                client.adopt(node);
            }
        }
        // Where proxies append to these too, the value of the same hop counts; where
        // they write a single one, that one. Both were written by trusted proxies.
        let at_hop = |known| from_the_right(head, buf, known).take(hops.max(1)).last();
        if let Some(scheme) = at_hop(KnownField::XForwardedProto).and_then(scheme) {
            client.scheme = scheme;
        }
        client.host = at_hop(KnownField::XForwardedHost).and_then(|host| authority(host, buf));
        client
    }

    fn by_forwarded(&self, direct: Client, head: &Head, buf: &[u8]) -> Client {
        let mut client = direct;
        for element in from_the_right(head, buf, KnownField::Forwarded) {
            // All proxies to the right are trusted, so the one that wrote this is.
            if let Some(scheme) = parameter(element, b"proto").and_then(scheme) {
                client.scheme = scheme;
            }
            if let Some(host) = parameter(element, b"host").and_then(|host| authority(host, buf)) {
                client.host = Some(host);
            }
            let Some(node) = parameter(element, b"for").and_then(Node::parse) else {
                break;
            };
            client.adopt(node);
            if !self.trusts(node.addr) {
                break;
            }
        }
        client
    }
}

impl Client {
    const fn adopt(&mut self, node: Node) {
        self.addr = Some(node.addr);
        self.port = node.port;
    }
}

/// The list elements of all field lines of one name, the last one first.
///
/// Quotes do not keep a comma from ending an element: no honest value has one, and
/// a quote that the client left open must not swallow what proxies appended.
fn from_the_right<'a>(
    head: &'a Head,
    buf: &'a [u8],
    known: KnownField,
) -> impl Iterator<Item = &'a [u8]> {
    head.fields
        .iter()
        .rev()
        .filter(move |field| field.known == known)
        .flat_map(|field| field.value.of(buf).rsplit(|&byte| byte == b','))
        .map(trim_ows)
        .filter(|element| !element.is_empty())
}

/// A parameter of a `Forwarded` element, without quotes (RFC 7239 section 4).
fn parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    element.split(|&byte| byte == b';').find_map(|pair| {
        let pair = trim_ows(pair);
        let (key, value) = pair.split_at_checked(name.len())?;
        let value = value
            .strip_prefix(b"=")
            .filter(|_| key.eq_ignore_ascii_case(name))?;
        match value {
            [b'"', quoted @ .., b'"'] => Some(quoted),
            token => Some(token),
        }
    })
}

fn scheme(name: &[u8]) -> Option<&'static str> {
    let is = |scheme: &str| name.eq_ignore_ascii_case(scheme.as_bytes());
    if is("https") || is("wss") {
        Some("https")
    } else if is("http") || is("ws") {
        Some("http")
    } else {
        None
    }
}

fn authority(host: &[u8], buf: &[u8]) -> Option<Span> {
    is_authority(host).then(|| Span::within(buf, host))
}

#[cfg(test)]
mod tests;
