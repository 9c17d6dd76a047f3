use super::*;
use proptest::prelude::*;

const NOW_S: u64 = 1_767_225_600;
const MODIFIED_S: u64 = 784_111_777;
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

const BOTH: Validators<'_> = Validators {
    etag: Some(EntityTag {
        opaque: b"a",
        is_weak: false,
    }),
    last_modified_s: Some(MODIFIED_S),
};
const WEAK: Validators<'_> = Validators {
    etag: Some(EntityTag {
        opaque: b"a",
        is_weak: true,
    }),
    last_modified_s: None,
};
const NEITHER: Validators<'_> = Validators {
    etag: None,
    last_modified_s: None,
};

/// Judge field lines, written as `Name: value`.
fn judged<'a>(method: &str, validators: &Validators<'_>, lines: &[&'a str]) -> Verdict<'a> {
    let fields = lines.iter().map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        (KnownField::of(name.as_bytes()), value.as_bytes())
    });
    evaluate(method.as_bytes(), fields, validators, NOW_S)
}

const WHOLE: Verdict<'_> = Verdict::Proceed { range: None };
const NOT_MODIFIED: Verdict<'_> = Verdict::NotModified;
const FAILED: Verdict<'_> = Verdict::PreconditionFailed;

#[test]
fn a_request_without_conditions_proceeds() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(judged(method, &BOTH, &[]), WHOLE);
        assert_eq!(judged(method, &BOTH, &["Accept: */*", "Host: a"]), WHOLE);
    }
}

#[test]
fn if_none_match_compares_weakly() {
    for validators in [&BOTH, &WEAK] {
        for tag in ["\"a\"", "W/\"a\"", "\"b\", W/\"a\"", "*"] {
            let line = format!("If-None-Match: {tag}");
            assert_eq!(judged("GET", validators, &[&line]), NOT_MODIFIED, "{tag}");
            assert_eq!(judged("HEAD", validators, &[&line]), NOT_MODIFIED, "{tag}");
            assert_eq!(judged("PUT", validators, &[&line]), FAILED, "{tag}");
        }
        for tag in ["\"b\"", "\"A\"", "", "\"a-br\""] {
            let line = format!("If-None-Match: {tag}");
            assert_eq!(judged("GET", validators, &[&line]), WHOLE, "{tag}");
            assert_eq!(judged("PUT", validators, &[&line]), WHOLE, "{tag}");
        }
    }
    assert_eq!(judged("GET", &NEITHER, &["If-None-Match: \"a\""]), WHOLE);
    assert_eq!(judged("GET", &NEITHER, &["If-None-Match: *"]), NOT_MODIFIED);
}

#[test]
fn if_match_compares_strongly() {
    for (tag, expected) in [
        ("\"a\"", WHOLE),
        ("\"b\", \"a\"", WHOLE),
        ("*", WHOLE),
        ("W/\"a\"", FAILED),
        ("\"b\"", FAILED),
        ("", FAILED),
    ] {
        let line = format!("If-Match: {tag}");
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            assert_eq!(judged(method, &BOTH, &[&line]), expected, "{method} {tag}");
        }
    }
    assert_eq!(judged("GET", &WEAK, &["If-Match: \"a\""]), FAILED);
    assert_eq!(judged("GET", &WEAK, &["If-Match: *"]), WHOLE);
    assert_eq!(judged("GET", &NEITHER, &["If-Match: *"]), WHOLE);
}

#[test]
fn a_malformed_list_matches_nothing() {
    for list in ["a", "\"a\", b", "*, \"a\"", "\"a", "w/\"a\""] {
        let none_match = format!("If-None-Match: {list}");
        assert_eq!(judged("GET", &BOTH, &[&none_match]), WHOLE, "{list}");
        assert_eq!(judged("PUT", &BOTH, &[&none_match]), FAILED, "{list}");
        let if_match = format!("If-Match: {list}");
        assert_eq!(judged("GET", &BOTH, &[&if_match]), FAILED, "{list}");
    }
}

#[test]
fn several_lines_are_one_list() {
    let two = ["If-None-Match: \"b\"", "If-None-Match: \"a\""];
    assert_eq!(judged("GET", &BOTH, &two), NOT_MODIFIED);
    let damaged = ["If-None-Match: \"a\"", "If-None-Match: b"];
    assert_eq!(judged("GET", &BOTH, &damaged), WHOLE);
    let two = ["If-Match: \"a\"", "If-Match: \"b\""];
    assert_eq!(judged("PUT", &BOTH, &two), WHOLE);
    let damaged = ["If-Match: b", "If-Match: \"a\""];
    assert_eq!(judged("PUT", &BOTH, &damaged), FAILED);
}

#[test]
fn if_modified_since_is_for_reading_only() {
    for (date, expected) in [
        (BEFORE, WHOLE),
        (MODIFIED, NOT_MODIFIED),
        (AFTER, NOT_MODIFIED),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NOT_MODIFIED),
        ("Sun Nov  6 08:49:37 1994", NOT_MODIFIED),
        ("yesterday", WHOLE),
        ("", WHOLE),
    ] {
        let line = format!("If-Modified-Since: {date}");
        assert_eq!(judged("GET", &BOTH, &[&line]), expected, "{date}");
        assert_eq!(judged("HEAD", &BOTH, &[&line]), expected, "{date}");
        assert_eq!(judged("PUT", &BOTH, &[&line]), WHOLE, "{date}");
        assert_eq!(judged("GET", &NEITHER, &[&line]), WHOLE, "{date}");
    }
}

#[test]
fn if_unmodified_since_is_for_every_method() {
    for (date, expected) in [
        (BEFORE, FAILED),
        (MODIFIED, WHOLE),
        (AFTER, WHOLE),
        ("yesterday", WHOLE),
        ("", WHOLE),
    ] {
        let line = format!("If-Unmodified-Since: {date}");
        for method in ["GET", "HEAD", "PUT"] {
            assert_eq!(judged(method, &BOTH, &[&line]), expected, "{date}");
            assert_eq!(judged(method, &NEITHER, &[&line]), WHOLE, "{date}");
        }
    }
}

#[test]
fn a_date_that_was_sent_twice_is_none() {
    let line = format!("If-Modified-Since: {MODIFIED}");
    assert_eq!(judged("GET", &BOTH, &[&line, &line]), WHOLE);
    let line = format!("If-Modified-Since: {MODIFIED}, {MODIFIED}");
    assert_eq!(judged("GET", &BOTH, &[&line]), WHOLE);
    let line = format!("If-Unmodified-Since: {BEFORE}");
    assert_eq!(judged("GET", &BOTH, &[&line, &line, &line]), WHOLE);
}

// Section 13.2.2: a tag is more precise than a date, whatever the date says; and what
// the client wants to be unchanged is asked before what it has.
#[test]
fn tags_come_before_dates_and_failing_before_not_modified() {
    let since = |name: &str, date: &str| format!("{name}: {date}");
    let unmodified_since = since("If-Unmodified-Since", BEFORE);
    let modified_since = since("If-Modified-Since", AFTER);
    let cases: [(&[&str], _); 8] = [
        (&["If-Match: \"a\"", &unmodified_since], WHOLE),
        (&[&unmodified_since, "If-None-Match: \"a\""], FAILED),
        (&["If-None-Match: \"b\"", &modified_since], WHOLE),
        (&["If-None-Match: b", &modified_since], WHOLE),
        (&["If-None-Match: ", &modified_since], WHOLE),
        (&["If-None-Match: \"a\"", "If-Match: \"b\""], FAILED),
        (&["If-None-Match: \"a\"", "If-Match: \"a\""], NOT_MODIFIED),
        (&[&modified_since, "If-Match: \"a\""], NOT_MODIFIED),
    ];
    for (lines, expected) in cases {
        assert_eq!(judged("GET", &BOTH, lines), expected, "{lines:?}");
    }
}

#[test]
fn methods_that_select_nothing_have_no_conditions() {
    for method in ["OPTIONS", "TRACE", "CONNECT"] {
        for line in ["If-Match: \"b\"", "If-None-Match: *", "Range: bytes=0-1"] {
            assert_eq!(judged(method, &BOTH, &[line]), WHOLE, "{method} {line}");
        }
    }
}

const RANGE: &str = "Range: bytes=0-1";
const PART: Verdict<'_> = Verdict::Proceed {
    range: Some(b"bytes=0-1"),
};

#[test]
fn a_range_is_for_get_alone_and_once() {
    assert_eq!(judged("GET", &BOTH, &[RANGE]), PART);
    assert_eq!(judged("GET", &NEITHER, &[RANGE]), PART);
    for method in ["HEAD", "PUT", "POST", "get"] {
        assert_eq!(judged(method, &BOTH, &[RANGE]), WHOLE, "{method}");
    }
    assert_eq!(judged("GET", &BOTH, &[RANGE, RANGE]), WHOLE);
    let other = [RANGE, "If-None-Match: \"a\""];
    assert_eq!(judged("GET", &BOTH, &other), NOT_MODIFIED);
    assert_eq!(judged("GET", &BOTH, &[RANGE, "If-Match: \"b\""]), FAILED);
}

#[test]
fn a_range_of_another_state_is_not_given() {
    let date = |date: &str| format!("If-Range: {date}");
    let cases = [
        ("If-Range: \"a\"".to_owned(), PART),
        ("If-Range: \"b\"".to_owned(), WHOLE),
        ("If-Range: W/\"a\"".to_owned(), WHOLE),
        ("If-Range: \"a\", \"b\"".to_owned(), WHOLE),
        ("If-Range: *".to_owned(), WHOLE),
        ("If-Range: a".to_owned(), WHOLE),
        ("If-Range: ".to_owned(), WHOLE),
        (date(MODIFIED), PART),
        (date("Sun Nov  6 08:49:37 1994"), PART),
        // Exactly the same date, not a later one.
        (date(BEFORE), WHOLE),
        (date(AFTER), WHOLE),
        (date("yesterday"), WHOLE),
    ];
    for (line, expected) in &cases {
        assert_eq!(judged("GET", &BOTH, &[RANGE, line]), *expected, "{line}");
        assert_eq!(judged("GET", &BOTH, &[line]), WHOLE, "{line}");
        assert_eq!(judged("GET", &NEITHER, &[RANGE, line]), WHOLE, "{line}");
    }
    let twice = [RANGE, "If-Range: \"a\"", "If-Range: \"a\""];
    assert_eq!(judged("GET", &BOTH, &twice), WHOLE);
    let weak = [RANGE, "If-Range: W/\"a\""];
    assert_eq!(judged("GET", &WEAK, &weak), WHOLE);
}

#[test]
fn a_date_is_sent_when_its_second_is_over() {
    assert_eq!(last_modified(99, 100), Some(99));
    assert_eq!(last_modified(100, 100), None);
    assert_eq!(last_modified(101, 100), None);
}

/// Section 13.2.2, step by step, over conditions that are known by themselves: the
/// second opinion.
fn by_the_book(
    if_match: Option<bool>,
    if_unmodified_since: Option<bool>,
    if_none_match: Option<bool>,
    if_modified_since: Option<bool>,
    if_range: Option<bool>,
    is_get: bool,
) -> Verdict<'static> {
    let first = if_match.or(if_unmodified_since);
    if first == Some(false) {
        return Verdict::PreconditionFailed;
    }
    if if_none_match.or(if_modified_since) == Some(false) {
        return Verdict::NotModified;
    }
    if is_get && if_range.unwrap_or(true) {
        return PART;
    }
    WHOLE
}

fn maybe() -> impl Strategy<Value = Option<bool>> {
    prop::option::of(any::<bool>())
}

proptest! {
    #[test]
    fn precedence_is_that_of_the_rfc(
        if_match in maybe(),
        if_unmodified_since in maybe(),
        if_none_match in maybe(),
        if_modified_since in maybe(),
        if_range in maybe(),
        is_get: bool,
        turn in 0..6_usize,
    ) {
        let tag = |is_ours: bool| if is_ours { "\"a\"" } else { "\"b\"" };
        let mut lines = vec![RANGE.to_owned()];
        lines.extend(if_match.map(|holds| format!("If-Match: {}", tag(holds))));
        lines.extend(if_none_match.map(|holds| format!("If-None-Match: {}", tag(!holds))));
        lines.extend(if_range.map(|holds| format!("If-Range: {}", tag(holds))));
        lines.extend(if_unmodified_since.map(|holds| {
            format!("If-Unmodified-Since: {}", if holds { MODIFIED } else { BEFORE })
        }));
        lines.extend(if_modified_since.map(|holds| {
            format!("If-Modified-Since: {}", if holds { BEFORE } else { MODIFIED })
        }));
        let turn = turn % lines.len();
        lines.rotate_left(turn);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let expected = by_the_book(
            if_match, if_unmodified_since, if_none_match, if_modified_since, if_range, is_get,
        );
        let method = if is_get { "GET" } else { "HEAD" };
        prop_assert_eq!(judged(method, &BOTH, &lines), expected);
    }

    #[test]
    fn any_bytes_are_survived(
        lines in prop::collection::vec((0..KnownField::ALL.len(), any::<Vec<u8>>()), 0..6),
    ) {
        let lines: Vec<_> = lines.iter().map(|(n, v)| (KnownField::ALL[*n], v.as_slice())).collect();
        let _ = evaluate(b"GET", lines.iter().copied(), &BOTH, NOW_S);
    }
}
