//! The parsers of `trivet-core` behind access and limits: what operators write, and what
//! proxies send before a request.

use std::net::{IpAddr, Ipv4Addr};

use trivet_core::address_set::AddressSet;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this file.
pub const TARGETS: [Target; 1] = [("address_set", address_set)];

/// Lines of addresses: each set says of an IPv4 address and of the same one mapped into IPv6
/// the same, and holds what the lines, each by itself, do.
pub fn address_set(data: &[u8]) {
    let Ok(set) = AddressSet::parse_text(data) else {
        return;
    };
    let alone: Vec<_> = data
        .split(|&byte| byte == b'\n')
        .map(|line| AddressSet::parse_text(line).expect("a line of what was accepted"))
        .collect();
    assert!(set.len() <= alone.iter().map(AddressSet::len).sum());
    for bits in [0, 1, 0x0a00_0000, 0x0a00_0001, 0x7f00_0001, u32::MAX] {
        let addr = Ipv4Addr::from_bits(bits);
        let held = set.contains(Some(IpAddr::V4(addr)));
        assert_eq!(held, set.contains(Some(addr.to_ipv6_mapped().into())));
        let by_line = |each: &AddressSet| each.contains(Some(IpAddr::V4(addr)));
        assert_eq!(held, alone.iter().any(by_line));
    }
    for text in ["::", "::1", "2001:db8::1", "fe80::1", "ffff::"] {
        let addr: Option<IpAddr> = text.parse().ok();
        let by_line = |each: &AddressSet| each.contains(addr);
        assert_eq!(set.contains(addr), alone.iter().any(by_line));
    }
    assert!(!set.contains(None));
}
