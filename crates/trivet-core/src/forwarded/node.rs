//! One address in a chain (RFC 7239 section 6, and the customs of `X-Forwarded-For`).

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::{FromStr, from_utf8},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) addr: IpAddr,
    /// 0 if not told.
    pub(super) port: u16,
}

impl Node {
    /// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, `2001:db8::1`.
    ///
    /// `unknown` and obfuscated names are no addresses.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = from_utf8(text).ok()?;
        if let Ok(addr) = IpAddr::from_str(text) {
            return Some(Self {
                addr: addr.to_canonical(),
                port: 0,
            });
        }
        if let Ok(socket) = SocketAddr::from_str(text) {
            return Some(Self {
                addr: socket.ip().to_canonical(),
                port: socket.port(),
            });
        }
        let address = text.strip_prefix('[')?.strip_suffix(']')?;
        let addr = IpAddr::V6(Ipv6Addr::from_str(address).ok()?);
        Some(Self {
            addr: addr.to_canonical(),
            port: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_brackets_and_a_port() {
        let cases = [
            ("192.0.2.1", Some(("192.0.2.1", 0))),
            ("192.0.2.1:80", Some(("192.0.2.1", 80))),
            ("2001:db8::1", Some(("2001:db8::1", 0))),
            ("[2001:db8::1]", Some(("2001:db8::1", 0))),
            ("[2001:db8::1]:80", Some(("2001:db8::1", 80))),
            ("::ffff:192.0.2.1", Some(("192.0.2.1", 0))),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("192.0.2", None),
            ("192.0.2.1:", None),
            ("192.0.2.01", None),
            ("192.0.2.1:70000", None),
            ("x.test", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(addr, port)| Node {
                addr: IpAddr::from_str(addr).unwrap(),
                port,
            });
            assert_eq!(Node::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
