use super::*;
use proptest::prelude::*;

use Coding::{Br, Gzip, Identity, Zstd};

fn chosen(lines: &[&str], available: &[Coding]) -> Option<Coding> {
    negotiate(lines.iter().map(|line| line.as_bytes()), available)
}

const ALL: &[Coding] = &[Zstd, Br, Gzip];

#[test]
fn the_favourite_of_the_server_decides_among_equals() {
    let browser = ["gzip, deflate, br, zstd"];
    assert_eq!(chosen(&browser, ALL), Some(Zstd));
    assert_eq!(chosen(&browser, &[Br, Zstd, Gzip]), Some(Br));
    assert_eq!(chosen(&browser, &[Gzip]), Some(Gzip));
    assert_eq!(chosen(&browser, &[]), Some(Identity));
    assert_eq!(chosen(&browser, &[Identity, Gzip]), Some(Gzip));
    assert_eq!(chosen(&["gzip, deflate"], ALL), Some(Gzip));
    assert_eq!(chosen(&["deflate, compress"], ALL), Some(Identity));
}

#[test]
fn the_client_gets_what_it_weighs_most() {
    let cases = [
        ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
        ("gzip;q=0.5, br;q=0.501", Some(Br)),
        ("gzip ; q=0.2 , br;q=0.3,zstd;Q=0.1", Some(Br)),
        ("gzip;q=0.5, identity", Some(Identity)),
        ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
        ("identity;q=0.5, gzip;q=0.1", Some(Identity)),
        ("identity", Some(Identity)),
        ("gzip;q=0.001", Some(Gzip)),
        ("gzip;q=0", Some(Identity)),
        ("gzip;q=0.000, br;q=0.", Some(Identity)),
        ("x-gzip", Some(Gzip)),
        ("X-GZIP;q=0.5, BR;q=0.4", Some(Gzip)),
        ("br;q=0, br;q=1", Some(Identity)),
        ("gzip, gzip;q=0", Some(Gzip)),
    ];
    for (line, expected) in cases {
        assert_eq!(chosen(&[line], ALL), expected, "{line}");
    }
}

#[test]
fn a_star_is_every_coding_that_is_not_named() {
    let cases = [
        ("*", Some(Zstd)),
        ("*;q=0.1", Some(Zstd)),
        ("zstd;q=0, *", Some(Br)),
        ("*, zstd;q=0", Some(Br)),
        ("zstd;q=0.2, *;q=0.8", Some(Br)),
        ("gzip;q=0.9, *;q=0.8", Some(Gzip)),
        ("gzip;q=0.9, *;q=0", Some(Gzip)),
        ("identity, *;q=0.5", Some(Identity)),
        ("identity, *;q=0", Some(Identity)),
        ("identity;q=0.1, *;q=0", Some(Identity)),
    ];
    for (line, expected) in cases {
        assert_eq!(chosen(&[line], ALL), expected, "{line}");
    }
    // Identity is one of those that a star stands for.
    assert_eq!(chosen(&["gzip;q=0.2, *;q=0.8"], &[Gzip]), Some(Identity));
}

#[test]
fn identity_is_sent_unless_it_is_refused() {
    assert_eq!(chosen(&[], ALL), Some(Identity));
    assert_eq!(chosen(&[""], ALL), Some(Identity));
    assert_eq!(chosen(&[","], ALL), Some(Identity));
    let cases = [
        ("identity;q=0", None),
        ("*;q=0", None),
        ("br, identity;q=0", None),
        ("compress, *;q=0", None),
        ("gzip;q=0, *;q=0", None),
        ("gzip, *;q=0", Some(Gzip)),
        ("identity;q=0, *", Some(Gzip)),
        ("*;q=0, identity", Some(Identity)),
        ("*;q=0, identity;q=0.001", Some(Identity)),
    ];
    for (line, expected) in cases {
        assert_eq!(chosen(&[line], &[Gzip]), expected, "{line}");
    }
}

#[test]
fn several_lines_are_one_list() {
    assert_eq!(chosen(&["gzip;q=0.5", "br"], ALL), Some(Br));
    assert_eq!(chosen(&["gzip", "*;q=0"], &[Br]), None);
}

#[test]
fn a_malformed_element_is_not_there() {
    for element in [
        "br;q=",
        "br;q=2",
        "br;q=1.001",
        "br;q=0.1234",
        "br;q=.5",
        "br;q=-1",
        "br;q=+1",
        "br;q=a",
        "br;q=0,5",
        "br;q=0.5a",
        "br;q=1e0",
        "br;q =1",
        "br;q= 1",
        "br;q",
        "br;",
        "br;level=1",
        "br;q=1;q=1",
        "br;level=1;q=1",
        "b r",
        "br\u{0}",
        "\"br\"",
        "br q=1",
        ";q=1",
    ] {
        let line = format!("{element}, gzip;q=0.1");
        assert_eq!(chosen(&[&line], ALL), Some(Gzip), "{line}");
    }
    // A refusal that cannot be read is none.
    assert_eq!(chosen(&["identity;q=0.0000"], ALL), Some(Identity));
}

#[test]
fn weights_are_thousandths() {
    let cases = [
        ("q=0", Some(0)),
        ("q=0.", Some(0)),
        ("q=1", Some(1000)),
        ("q=1.", Some(1000)),
        ("q=1.000", Some(1000)),
        ("q=0.5", Some(500)),
        ("q=0.05", Some(50)),
        ("q=0.999", Some(999)),
        (" Q=0.333\t", Some(333)),
        ("q=1.1", None),
        ("q=00", None),
        ("", None),
    ];
    for (parameter, expected) in cases {
        assert_eq!(weight(parameter.as_bytes()), expected, "{parameter}");
    }
}

#[test]
fn names_and_extensions_are_those_of_the_field() {
    let named: Vec<_> = Coding::ALL
        .map(|coding| (coding.name(), coding.extension()))
        .into();
    let expected = [
        ("identity", ""),
        ("zstd", ".zst"),
        ("br", ".br"),
        ("gzip", ".gz"),
    ];
    assert_eq!(named, expected);
    for (index, coding) in Coding::ALL.into_iter().enumerate() {
        assert_eq!(coding as usize, index);
    }
}

/// Weights in tenths by coding and for `*`, as a table: the second opinion.
fn by_the_book(weights: [Option<u16>; 4], any: Option<u16>) -> Option<Coding> {
    let weight = |coding: Coding| weights[coding as usize].or(any);
    let mut best = None;
    for coding in [Zstd, Br, Gzip, Identity] {
        let mentioned = weight(coding).unwrap_or(0);
        if mentioned > best.map_or(0, |(weight, _)| weight) {
            best = Some((mentioned, coding));
        }
    }
    match best {
        Some((_, coding)) => Some(coding),
        None if weight(Identity) == Some(0) => None,
        None => Some(Identity),
    }
}

proptest! {
    #[test]
    fn the_choice_is_that_of_the_rfc(
        weights in prop::array::uniform4(prop::option::of(0..=9_u16)),
        any in prop::option::of(0..=9_u16),
        turn in 0..5_usize,
    ) {
        let mut elements: Vec<String> = Coding::ALL
            .into_iter()
            .zip(weights)
            .filter_map(|(coding, weight)| Some(format!("{};q=0.{}", coding.name(), weight?)))
            .collect();
        elements.extend(any.map(|weight| format!("*;q=0.{weight}")));
        let turn = turn.min(elements.len());
        elements.rotate_left(turn);
        let line = elements.join(", ");
        prop_assert_eq!(chosen(&[&line], ALL), by_the_book(weights, any), "{}", line);
    }

    #[test]
    fn what_is_chosen_is_available(line: Vec<u8>, has_br: bool) {
        let available = if has_br { &[Br][..] } else { &[] };
        let coding = negotiate([line.as_slice()], available);
        prop_assert!(coding.is_none_or(|coding| coding == Identity || has_br && coding == Br));
    }
}
