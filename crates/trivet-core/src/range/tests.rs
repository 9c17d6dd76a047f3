#![expect(clippy::cast_possible_truncation, reason = "lengths are small here")]

use super::*;
use proptest::prelude::*;

/// `Range` value, length, and what comes of it: `whole`, `416`, or `first-last` pairs.
fn described(value: &[u8], length: u64) -> String {
    let show = |range: &ByteRange| format!("{}-{}", range.first, range.last);
    match select(value, length) {
        Selection::Whole => "whole".into(),
        Selection::NotSatisfiable => "416".into(),
        Selection::Part(range) => show(&range),
        Selection::Parts(ranges) => {
            assert!(ranges.len() > 1);
            ranges.iter().map(show).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn one_range_is_read_as_the_rfc_says() {
    let cases = [
        ("bytes=0-499", 10_000, "0-499"),
        ("bytes=500-999", 10_000, "500-999"),
        ("bytes=-500", 10_000, "9500-9999"),
        ("bytes=9500-", 10_000, "9500-9999"),
        ("bytes=0-0", 10_000, "0-0"),
        ("bytes=0-", 10_000, "0-9999"),
        ("bytes=9999-", 10_000, "9999-9999"),
        ("bytes=9999-9999", 10_000, "9999-9999"),
        ("bytes=9000-10000", 10_000, "9000-9999"),
        ("bytes=-10000", 10_000, "0-9999"),
        ("bytes=-10001", 10_000, "0-9999"),
        ("bytes=-1", 10_000, "9999-9999"),
        ("bytes=0-0", 1, "0-0"),
        ("BYTES=0-1", 10, "0-1"),
        (" bytes=0-1\t", 10, "0-1"),
        ("bytes= 0-1 ", 10, "0-1"),
        ("bytes=,0-1,,", 10, "0-1"),
        ("bytes=00000000000000000000000-0001", 10, "0-1"),
        // 2^64, and a number of 40 digits.
        ("bytes=0-18446744073709551616", 10, "0-9"),
        (
            "bytes=1-9999999999999999999999999999999999999999",
            10,
            "1-9",
        ),
        ("bytes=-9999999999999999999999999999999999999999", 10, "0-9"),
        (
            "bytes=0-18446744073709551615",
            u64::MAX,
            "0-18446744073709551614",
        ),
        (
            "bytes=18446744073709551614-",
            u64::MAX,
            "18446744073709551614-18446744073709551614",
        ),
    ];
    for (value, length, expected) in cases {
        assert_eq!(described(value.as_bytes(), length), expected, "{value}");
    }
}

#[test]
fn what_lies_behind_the_end_cannot_be_satisfied() {
    for (value, length) in [
        ("bytes=10-", 10),
        ("bytes=10-10", 10),
        ("bytes=-0", 10),
        ("bytes=10-, 11-12, -0", 10),
        ("bytes=18446744073709551616-", 10),
        ("bytes=18446744073709551615-", u64::MAX),
        ("bytes=99999999999999999999-99999999999999999999", u64::MAX),
    ] {
        assert_eq!(described(value.as_bytes(), length), "416", "{value}");
    }
}

#[test]
fn a_void_field_gives_the_whole() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes= ",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=-1-",
        "bytes=a-b",
        "bytes=0-a",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=1-+2",
        "bytes=1.0-2",
        "bytes=5-4",
        "bytes=0-1, 5-4",
        "bytes=0-1, x",
        "bytes=0-1-2",
        "bytes=0 - 1",
        "bytes=0-1;2-3",
        "bytes =0-1",
        "bytes:0-1",
        "bytes 0-1/2",
        "0-1",
        "items=0-1",
        "bytes2=0-1",
        "byte=0-1",
        "bytes=1\u{0}-2",
        "bytes=\u{661}-2",
        "none",
    ] {
        assert_eq!(described(value.as_bytes(), 10_000), "whole", "{value}");
    }
}

#[test]
fn of_an_empty_representation_no_part_can_be_named() {
    for value in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-9"] {
        assert_eq!(described(value.as_bytes(), 0), "whole", "{value}");
    }
}

#[test]
fn several_ranges_keep_their_order_and_what_is_near_becomes_one() {
    let cases = [
        ("bytes=0-9,200-209", "0-9 200-209"),
        ("bytes=200-209,0-9", "200-209 0-9"),
        ("bytes=-10,0-9", "9990-9999 0-9"),
        ("bytes=0-9,20000-,200-209", "0-9 200-209"),
        ("bytes=20000-,0-9", "0-9"),
        ("bytes=0-9,10-19", "0-19"),
        ("bytes=10-19,0-9", "0-19"),
        ("bytes=0-9,0-9,0-9", "0-9"),
        ("bytes=0-,-1,5-6", "0-9999"),
        // Apart by 80 bytes and by 79.
        ("bytes=0-9,90-99", "0-9 90-99"),
        ("bytes=0-9,89-99", "0-99"),
        // The third brings the first two together, at the place of the first.
        ("bytes=500-509,0-9,900-909,0-509", "0-509 900-909"),
        ("bytes=900-909,500-509,0-9,0-600", "900-909 0-600"),
        ("bytes=0-9,500-509,200-209,5-505", "0-509"),
    ];
    for (value, expected) in cases {
        assert_eq!(described(value.as_bytes(), 10_000), expected, "{value}");
    }
}

// CVE-2011-3192: hundreds of ranges, each nearly the whole.
#[test]
fn too_many_ranges_are_ignored() {
    let set = |count: usize| {
        let ranges: Vec<_> = (0..count)
            .map(|n| format!("{}-{}", n * 200, n * 200))
            .collect();
        format!("bytes={}", ranges.join(","))
    };
    let most = select(set(MOST_RANGES).as_bytes(), u64::MAX);
    assert!(matches!(most, Selection::Parts(parts) if parts.len() == MOST_RANGES));
    assert_eq!(
        described(set(MOST_RANGES + 1).as_bytes(), u64::MAX),
        "whole"
    );
    let behind = "10-,".repeat(MOST_RANGES + 1);
    assert_eq!(described(format!("bytes={behind}").as_bytes(), 10), "whole");
}

#[test]
fn content_range_is_written_as_in_the_standard() {
    let range = |first, last| ByteRange { first, last };
    for (part, length, expected) in [
        (range(0, 499), 1234, "bytes 0-499/1234"),
        (range(42, 1233), 1234, "bytes 42-1233/1234"),
        (
            range(u64::MAX - 1, u64::MAX),
            u64::MAX,
            "bytes 18446744073709551614-18446744073709551615/18446744073709551615",
        ),
    ] {
        let mut out = Vec::new();
        write_content_range(part, length, &mut out);
        assert_eq!(str::from_utf8(&out), Ok(expected));
    }
    let mut out = Vec::new();
    write_unsatisfied(1234, &mut out);
    assert_eq!(out, b"bytes */1234");
}

fn framed(plan: &Multipart<'_>, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in plan.parts().iter().enumerate() {
        plan.write_part_head(index, &mut out);
        let (first, last) = (part.first as usize, part.last as usize);
        out.extend_from_slice(&content[first..=last]);
    }
    plan.write_end(&mut out);
    out
}

#[test]
fn parts_are_framed_as_in_the_standard() {
    let Selection::Parts(parts) = select(b"bytes=0-1,100-102", 103) else {
        panic!("these are two parts")
    };
    let content = [b"ab".as_slice(), &[b'.'; 98], b"xyz"].concat();
    let plan = Multipart::new(&parts, 103, b"text/plain", b"B").unwrap();
    let expected = "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/103\r\n\r\nab\
        \r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 100-102/103\r\n\r\nxyz\
        \r\n--B--\r\n";
    assert_eq!(str::from_utf8(&framed(&plan, &content)), Ok(expected));
    assert_eq!(plan.content_length(), expected.len() as u64);
    let mut content_type = Vec::new();
    plan.write_content_type(&mut content_type);
    assert_eq!(content_type, b"multipart/byteranges; boundary=B");
    let mut nothing = Vec::new();
    plan.write_part_head(2, &mut nothing);
    assert!(nothing.is_empty());

    let untyped = Multipart::new(&parts, 103, b"", b"B").unwrap();
    let expected = expected.replace("Content-Type: text/plain\r\n", "");
    assert_eq!(framed(&untyped, &content), expected.as_bytes());
    assert_eq!(untyped.content_length(), expected.len() as u64);
}

#[test]
fn a_plan_that_cannot_be_sent_is_none() {
    let parts = [ByteRange {
        first: 0,
        last: u64::MAX - 1,
    }];
    assert!(Multipart::new(&parts, u64::MAX, b"", b"B").is_none());
    let long = "a".repeat(71);
    for bad in [
        "", "a b", "a:b", "\"a\"", "a\r\nb", "a/b", "a=b", "\u{e9}", &long,
    ] {
        assert!(!is_boundary(bad.as_bytes()), "{bad}");
        assert!(
            Multipart::new(&[], 1, b"", bad.as_bytes()).is_none(),
            "{bad}"
        );
    }
    assert!(is_boundary(b"0f-A_.+'") && is_boundary(&long.as_bytes()[1..]));
}

/// A range as a client would write it.
fn spec() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..1200_u64, 0..1200_u64).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        (0..1200_u64).prop_map(|first| format!("{first}-")),
        (0..1200_u64).prop_map(|length| format!("-{length}")),
    ]
}

proptest! {
    #[test]
    fn all_that_was_asked_for_is_sent_and_nothing_twice(
        specs in prop::collection::vec(spec(), 1..12),
        length in 1..1000_u64,
    ) {
        let mut wanted = vec![false; length as usize];
        for spec in &specs {
            let (first, last) = spec.split_once('-').unwrap();
            let range = match (first.parse::<u64>(), last.parse::<u64>()) {
                (Ok(first), Ok(last)) => first..(last + 1).min(length),
                (Ok(first), Err(_)) => first..length,
                (Err(_), suffix) => length.saturating_sub(suffix.unwrap())..length,
            };
            for position in range {
                wanted[position as usize] = true;
            }
        }
        let parts = match select(format!("bytes={}", specs.join(", ")).as_bytes(), length) {
            Selection::Whole => panic!("the set is valid"),
            Selection::NotSatisfiable => vec![],
            Selection::Part(range) => vec![range],
            Selection::Parts(parts) => parts,
        };
        let mut sent = vec![0; length as usize];
        for part in &parts {
            for position in part.first..=part.last {
                sent[position as usize] += 1;
            }
        }
        for (position, &wanted) in wanted.iter().enumerate() {
            prop_assert!(sent[position] <= 1);
            prop_assert!(!wanted || sent[position] == 1);
        }
        // What was not asked for lies in a small gap.
        let is_extra = |position: usize| sent[position] == 1 && !wanted[position];
        for start in 0..length as usize {
            let gap = (start..length as usize).take_while(|&at| is_extra(at)).count();
            prop_assert!(gap < SMALL_GAP as usize);
        }
    }

    #[test]
    fn the_length_of_a_plan_is_exact(
        specs in prop::collection::vec(spec(), 2..12),
        content_type in "([a-z]{1,9}/[a-z]{1,9})?",
        boundary in "[0-9a-zA-Z]{1,70}",
    ) {
        let content = vec![b'.'; 1100];
        let value = format!("bytes={}", specs.join(","));
        if let Selection::Parts(parts) = select(value.as_bytes(), 1100) {
            let plan = Multipart::new(&parts, 1100, content_type.as_bytes(), boundary.as_bytes());
            let plan = plan.unwrap();
            prop_assert_eq!(plan.content_length(), framed(&plan, &content).len() as u64);
        }
    }

    #[test]
    fn any_bytes_are_survived(value: Vec<u8>, length: u64) {
        let _ = select(&value, length);
    }
}
