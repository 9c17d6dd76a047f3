//! Which peers are believed.

use std::{net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

/// The proxies whose word about the client counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    all: bool,
    unix: bool,
}

/// Addresses that are not routed on the internet: RFC 1918, RFC 4193, RFC 6598,
/// and link-local ones.
pub(crate) const PRIVATE: [&str; 7] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
];
/// Addresses of this machine itself.
pub(crate) const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

impl TrustedProxies {
    /// From addresses, networks, and the words `*`, `loopback`, `private`, `unix`.
    ///
    /// `*` trusts every peer, Unix sockets too.
    ///
    /// # Errors
    ///
    /// With a sentence about the first entry that is none of these.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let mut trusted = Self::default();
        for entry in entries {
            match entry.trim() {
                "*" => (trusted.all, trusted.unix) = (true, true),
                "unix" => trusted.unix = true,
                "private" => trusted.add_all(&PRIVATE)?,
                "loopback" => trusted.add_all(&LOOPBACK)?,
                network => trusted.add(network)?,
            }
        }
        Ok(trusted)
    }

    /// Whether `addr` is a trusted proxy's.
    pub fn trusts(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.all || self.networks.iter().any(|network| network.contains(&addr))
    }

    /// Whether the other end of a connection is trusted; `None` is a Unix socket.
    pub fn trusts_peer(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |peer| self.trusts(peer))
    }

    fn add_all(&mut self, networks: &[&str]) -> Result<(), String> {
        networks.iter().try_for_each(|network| self.add(network))
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let network = IpNet::from_str(text)
            .or_else(|_| IpAddr::from_str(text).map(IpNet::from))
            .map_err(|_| {
                format!(
                    "`{text}` is not an address, a network like `10.0.0.0/8`, or one of `*`, `loopback`, `private`, `unix`"
                )
            })?;
        self.networks.push(canonical(network.trunc()));
        Ok(())
    }
}

/// A network of IPv4 addresses mapped into IPv6, as the IPv4 network it means.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let prefix_len = mapped.prefix_len().checked_sub(96);
    match (mapped.addr().to_ipv4_mapped(), prefix_len) {
        (Some(addr), Some(prefix_len)) => Ipv4Net::new(addr, prefix_len).map_or(network, IpNet::V4),
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(entries: &[&str]) -> Result<TrustedProxies, String> {
        let entries: Vec<_> = entries.iter().map(|&entry| entry.to_owned()).collect();
        TrustedProxies::parse(&entries)
    }

    #[test]
    fn entries_are_addresses_networks_and_words() {
        let cases: [(&[&str], &str, bool); 14] = [
            (&[], "127.0.0.1", false),
            (&["127.0.0.1"], "127.0.0.1", true),
            (&["127.0.0.1"], "127.0.0.2", false),
            (&["10.1.2.3/8"], "10.255.0.1", true),
            (&["10.0.0.0/8"], "::ffff:10.0.0.1", true),
            (&["::ffff:10.0.0.0/104"], "10.0.0.1", true),
            (&["2001:db8::/32"], "2001:db8:1::", true),
            (&["private"], "192.168.1.1", true),
            (&["private"], "127.0.0.1", false),
            (&["loopback"], "::1", true),
            (&["unix"], "127.0.0.1", false),
            (&["*"], "203.0.113.1", true),
            (&["10.0.0.1", " 10.0.0.2 "], "10.0.0.2", true),
            (&["fd00::1"], "fd00::1", true),
        ];
        for (entries, addr, expected) in cases {
            let addr = IpAddr::from_str(addr).unwrap();
            assert_eq!(
                trusted(entries).unwrap().trusts(addr),
                expected,
                "{entries:?} {addr}"
            );
        }
    }

    #[test]
    fn a_unix_socket_is_trusted_by_its_word_only() {
        for (entry, expected) in [("unix", true), ("*", true), ("private", false)] {
            assert_eq!(trusted(&[entry]).unwrap().trusts_peer(None), expected);
        }
    }

    #[test]
    fn a_wrong_entry_is_named() {
        for entry in ["", "proxy.test", "10.0.0.0/33", "10.0.0"] {
            assert!(
                trusted(&["unix", entry])
                    .unwrap_err()
                    .starts_with(&format!("`{entry}` is not"))
            );
        }
    }
}
