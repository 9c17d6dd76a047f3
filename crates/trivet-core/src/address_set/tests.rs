use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn holds(entries: &[&str], addr: &str) -> bool {
    let addr = (addr != "unix").then(|| addr.parse().unwrap());
    AddressSet::parse(entries).unwrap().contains(addr)
}

#[test]
fn entries_are_addresses_networks_and_words() {
    let cases: [(&[&str], &str, bool); 24] = [
        (&[], "10.0.0.1", false),
        (&["10.0.0.1"], "10.0.0.1", true),
        (&["10.0.0.1"], "10.0.0.2", false),
        (&["10.0.0.1/32"], "10.0.0.1", true),
        (&["10.0.0.0/8"], "10.255.255.255", true),
        (&["10.0.0.0/8"], "11.0.0.0", false),
        (&["10.0.0.0/8"], "9.255.255.255", false),
        (&["10.0.0.0/8"], "::ffff:10.0.0.1", true),
        (&["::ffff:10.0.0.0/104"], "10.0.0.1", true),
        (&["::ffff:10.0.0.1"], "10.0.0.1", true),
        (&["0.0.0.0/0"], "255.255.255.255", true),
        (&["0.0.0.0/0"], "::1", false),
        (&["::/0"], "ffff:ffff::", true),
        (&["::/0"], "10.0.0.1", false),
        (&["::/0"], "::ffff:10.0.0.1", false),
        (&["2001:db8::/32"], "2001:db8:ffff::1", true),
        (&["2001:db8::/32"], "2001:db9::", false),
        (&["10.0.0.0/25", "10.0.0.128/25"], "10.0.0.128", true),
        (&["*"], "203.0.113.9", true),
        (&["*"], "unix", true),
        (&["unix"], "unix", true),
        (&["unix"], "127.0.0.1", false),
        (&["loopback"], "127.8.8.8", true),
        (&["private"], "172.31.0.1", true),
    ];
    for (entries, addr, expected) in cases {
        assert_eq!(holds(entries, addr), expected, "{entries:?} {addr}");
    }
}

#[test]
fn neighbours_become_one_range() {
    let set = AddressSet::parse(&["10.0.0.128/25", "10.0.0.0/25", "10.0.0.3", "10.0.1.0/24"]);
    assert_eq!(set.unwrap().len(), 1);
    let all = AddressSet::parse(&["0.0.0.0/0", "255.255.255.255", "0.0.0.0"]);
    assert_eq!(all.unwrap().len(), 1);
}

#[test]
fn a_file_has_comments_and_any_line_ending() {
    let text = b"# office\r\n10.0.0.0/8 # all\n\n \t2001:db8::1\t\r\n192.0.2.1";
    let set = AddressSet::parse_text(text).unwrap();
    assert_eq!(set.len(), 3);
    for addr in ["10.9.9.9", "2001:db8::1", "192.0.2.1"] {
        assert!(set.contains(addr.parse().ok()), "{addr}");
    }
    assert!(AddressSet::parse_text(b"").unwrap().is_empty());
    assert!(AddressSet::parse_text(b"# nobody\n").unwrap().is_empty());
}

#[test]
fn a_wrong_line_is_told_by_its_number() {
    let cases: [(&[u8], &str); 9] = [
        (b"10.0.0.0/8\nnonsense\n", "line 2: `nonsense` is neither"),
        (b"10.0.0.0/33", "line 1: `10.0.0.0/33` is neither"),
        (b"10.0.0", "line 1: `10.0.0` is neither"),
        (b"010.0.0.1", "line 1: `010.0.0.1` is neither"),
        (b"10.0.0.0/-1", "line 1: `10.0.0.0/-1` is neither"),
        (b"private", "line 1: `private` is neither"),
        (
            b"\n\n10.0.0.0/8 10.0.0.1",
            "line 3: `10.0.0.0/8 10.0.0.1` is neither",
        ),
        (b"\xff\xfe", "line 1: `\u{fffd}\u{fffd}` is neither"),
        (
            b"10.1.2.3/8",
            "line 1: `10.1.2.3/8` has a host part that is not zero: `10.0.0.0/8` is the network",
        ),
    ];
    for (text, expected) in cases {
        let error = AddressSet::parse_text(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let long = AddressSet::parse_text(&[b'x'; 5000]).unwrap_err();
    assert!(long.to_string().len() < 200);
}

/// Prints what a lookup among a million networks costs:
/// `cargo test --release -p trivet-core million -- --nocapture`.
#[test]
fn a_million_entries_are_looked_up_at_once() {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 32) as u32
    };
    let entries = if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    };
    for _ in 0..entries {
        writeln!(text, "{}", Ipv4Addr::from_bits(random())).unwrap();
    }
    let begun = Instant::now();
    let set = AddressSet::parse_text(text.as_bytes()).unwrap();
    let parsed = begun.elapsed();
    let begun = Instant::now();
    let lookups = 200_000_u32;
    let found = (0..lookups)
        .filter(|_| set.contains(Some(IpAddr::V4(Ipv4Addr::from_bits(random())))))
        .count();
    let each = begun.elapsed() / lookups;
    println!(
        "{} ranges read in {parsed:?}; a lookup takes {each:?} ({found} of {lookups} found)",
        set.len()
    );
    assert!(set.len() > entries / 100 * 99);
}

fn entry() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        // Few bits vary, so that networks meet.
        (0_u32..64, 20_u8..=32).prop_map(|(bits, length)| {
            let addr = Ipv4Addr::from_bits(0x0a00_0000 | bits << 4);
            IpNet::V4(Ipv4Net::new(addr, length).unwrap()).trunc()
        }),
        (0_u128..64, 110_u8..=128).prop_map(|(bits, length)| {
            let addr = Ipv6Addr::from_bits(0x2001_0db8 << 96 | bits << 4);
            IpNet::new(addr.into(), length).unwrap().trunc()
        }),
    ]
}

proptest! {
    #[test]
    fn the_set_holds_what_one_of_its_networks_does(
        entries in prop::collection::vec(entry(), 0..20),
        bits in 0_u32..2048,
    ) {
        let text: Vec<_> = entries.iter().map(ToString::to_string).collect();
        let set = AddressSet::parse(&text).unwrap();
        for addr in [
            IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | bits)),
            IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits))),
        ] {
            let expected = entries.iter().any(|network| network.contains(&addr));
            prop_assert_eq!(set.contains(Some(addr)), expected, "{}", addr);
        }
        prop_assert_eq!(&set, &AddressSet::parse_text(text.join("\n").as_bytes()).unwrap());
        prop_assert!(set.len() <= entries.len());
    }

    #[test]
    fn any_text_is_survived(text: Vec<u8>) {
        let _ = AddressSet::parse_text(&text);
    }
}
