use std::str::FromStr;

use proptest::prelude::*;

use super::*;
use crate::http1::HeadLimits;

struct Case {
    buf: Vec<u8>,
    client: Client,
}

impl Case {
    fn addr(&self) -> String {
        self.client
            .addr
            .map_or_else(String::new, |addr| addr.to_string())
    }

    fn host(&self) -> Option<&str> {
        self.client
            .host
            .map(|host| str::from_utf8(host.of(&self.buf)).unwrap())
    }
}

/// Resolve a request from `peer`; proxies in 10.0.0.0/8 and on Unix sockets are trusted.
fn resolve(peer: Option<&str>, fields: &[&str]) -> Case {
    let fields = [fields, &[""]].concat().join("\r\n");
    let buf = format!("GET / HTTP/1.1\r\n{fields}\r\n").into_bytes();
    let mut head = Head::default();
    head.parse(&buf, &HeadLimits::default()).unwrap();
    let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned(), "unix".to_owned()]).unwrap();
    let peer = peer.map(|peer| IpAddr::from_str(peer).unwrap());
    let client = trusted.resolve(peer, 999, "http", &head, &buf);
    Case { buf, client }
}

#[test]
fn an_untrusted_peer_is_not_believed() {
    let case = resolve(
        Some("203.0.113.9"),
        &[
            "X-Forwarded-For: 1.1.1.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil",
            "Forwarded: for=1.1.1.1",
        ],
    );
    assert_eq!(
        (case.addr().as_str(), case.client.port),
        ("203.0.113.9", 999)
    );
    assert_eq!(
        (case.client.scheme, case.host(), case.client.trusted),
        ("http", None, false)
    );
}

#[test]
fn the_right_most_untrusted_address_is_the_client() {
    let cases: [(&[&str], &str); 14] = [
        (&[], "10.0.0.1"),
        (&["X-Forwarded-For: 1.1.1.1"], "1.1.1.1"),
        (&["X-Forwarded-For: 9.9.9.9, 1.1.1.1"], "1.1.1.1"),
        (&["X-Forwarded-For: 9.9.9.9, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        (
            &[
                "X-Forwarded-For: 9.9.9.9",
                "X-Forwarded-For: 1.1.1.1,10.0.0.2",
            ],
            "1.1.1.1",
        ),
        (&["X-Forwarded-For: 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (&["X-Forwarded-For: 9.9.9.9, junk, 10.0.0.2"], "10.0.0.2"),
        (&["X-Forwarded-For: 9.9.9.9, junk"], "10.0.0.1"),
        (&["X-Forwarded-For: 1.1.1.1, ,"], "1.1.1.1"),
        (&["X-Real-IP: 1.1.1.1"], "1.1.1.1"),
        (
            &["X-Real-IP: 9.9.9.9", "X-Forwarded-For: 1.1.1.1"],
            "1.1.1.1",
        ),
        (
            &["Forwarded: for=9.9.9.9, for=\"[2001:db8::1]:4711\", for=10.0.0.2"],
            "2001:db8::1",
        ),
        (
            &["Forwarded: for=9.9.9.9, for=unknown, for=10.0.0.2"],
            "10.0.0.2",
        ),
        (
            &["Forwarded: for=9.9.9.9", "X-Forwarded-For: 1.1.1.1"],
            "1.1.1.1",
        ),
    ];
    for (fields, expected) in cases {
        let case = resolve(Some("10.0.0.1"), fields);
        assert_eq!(case.addr(), expected, "{fields:?}");
        assert!(case.client.trusted);
    }
}

#[test]
fn scheme_and_host_come_from_the_clients_hop() {
    let cases: [(&[&str], &str, Option<&str>); 10] = [
        (
            &["X-Forwarded-Proto: https", "X-Forwarded-Host: a:8443"],
            "https",
            Some("a:8443"),
        ),
        (&["X-Forwarded-Proto: WSS"], "https", None),
        (
            &["X-Forwarded-Proto: gopher", "X-Forwarded-Host: a/b"],
            "http",
            None,
        ),
        (&["X-Forwarded-Proto: http, https"], "https", None),
        (
            &[
                "X-Forwarded-For: 1.1.1.1, 10.0.0.2",
                "X-Forwarded-Proto: https, http",
            ],
            "https",
            None,
        ),
        (
            &[
                "X-Forwarded-For: 1.1.1.1, 10.0.0.2",
                "X-Forwarded-Proto: https",
            ],
            "https",
            None,
        ),
        (
            &["X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: evil, a"],
            "http",
            Some("a"),
        ),
        (
            &["Forwarded: For=1.1.1.1; PROTO=https;host=\"a:1\""],
            "https",
            Some("a:1"),
        ),
        (
            &["Forwarded: proto=http;host=evil, proto=https;host=a"],
            "https",
            Some("a"),
        ),
        (
            &["Forwarded: for=1.1.1.1;proto=https, for=10.0.0.2;proto=http"],
            "https",
            None,
        ),
    ];
    for (fields, scheme, host) in cases {
        let case = resolve(Some("10.0.0.1"), fields);
        assert_eq!(
            (case.client.scheme, case.host()),
            (scheme, host),
            "{fields:?}"
        );
    }
}

#[test]
fn a_port_is_kept_where_it_was_told() {
    assert_eq!(
        resolve(Some("10.0.0.1"), &["X-Forwarded-For: 1.1.1.1:5"])
            .client
            .port,
        5
    );
    assert_eq!(
        resolve(Some("10.0.0.1"), &["X-Forwarded-For: 1.1.1.1"])
            .client
            .port,
        0
    );
    assert_eq!(resolve(Some("::ffff:10.0.0.1"), &[]).addr(), "10.0.0.1");
}

#[test]
fn a_trusted_unix_peer_may_tell() {
    assert_eq!(
        resolve(None, &["X-Forwarded-For: 1.1.1.1"]).addr(),
        "1.1.1.1"
    );
    assert_eq!(resolve(None, &[]).client.addr, None);
}

proptest! {
    #[test]
    fn a_client_cannot_speak_for_itself(forged in "[!-~ ]{0,40}") {
        // The proxy appends the address it saw, whatever was there before.
        let chain = format!("X-Forwarded-For: {forged}, 1.1.1.1");
        prop_assert_eq!(resolve(Some("10.0.0.1"), &[&chain]).addr(), "1.1.1.1");
        let chain = format!("Forwarded: {forged}, for=1.1.1.1");
        prop_assert_eq!(resolve(Some("10.0.0.1"), &[&chain]).addr(), "1.1.1.1");
    }
}
