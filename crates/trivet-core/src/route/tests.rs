use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

/// A request for `path` of `authority`, with a field `X-Beta: 1` and an address in list 7.
fn asked<T>(
    method: &str,
    authority: &str,
    path: &str,
    query: &str,
    ask: impl FnOnce(&Request<'_>) -> T,
) -> T {
    let has_field = |name: &str, pattern: &ValuePattern| {
        name == "x-beta" && (pattern.matches(b"0") || pattern.matches(b"1"))
    };
    ask(&Request {
        authority: authority.as_bytes(),
        is_secure: false,
        method: method.as_bytes(),
        path: path.as_bytes(),
        query: query.as_bytes(),
        has_field: &has_field,
        is_listed: &|list| list == 7,
    })
}

fn path(text: &str) -> Match {
    Match {
        path: Some(PathPattern::parse(text).unwrap()),
        ..Match::default()
    }
}

#[test]
fn each_part_must_hold_and_the_one_that_does_not_is_named() {
    let value = |text| ValuePattern::parse(text).unwrap();
    let all = Match {
        hosts: vec![HostPattern::parse("example.com").unwrap()],
        secure: Some(false),
        methods: vec![b"GET".to_vec()],
        fields: vec![("x-beta".to_owned(), value("1"))],
        query: vec![("page".to_owned(), value("~[0-9]+"))],
        clients: vec![3, 7],
        ..path("/a/*")
    };
    let check = |method, authority, path, query| {
        asked(method, authority, path, query, |request| all.check(request))
    };
    assert_eq!(check("GET", "example.com:80", "/a/b", "page=2"), Ok(()));
    assert_eq!(check("GET", "example.com", "/b", "page=2"), Err(Part::Path));
    assert_eq!(
        check("POST", "example.com", "/a/", "page=2"),
        Err(Part::Method)
    );
    assert_eq!(
        check("get", "example.com", "/a/", "page=2"),
        Err(Part::Method)
    );
    assert_eq!(
        check("GET", "example.org", "/a/", "page=2"),
        Err(Part::Host)
    );
    assert_eq!(
        check("GET", "example.com", "/a/", "page=x"),
        Err(Part::Query)
    );
    assert_eq!(check("GET", "example.com", "/a/", ""), Err(Part::Query));
    let changed = |change: fn(&mut Match)| {
        let mut changed = all.clone();
        change(&mut changed);
        asked("GET", "example.com", "/a/", "page=1", |request| {
            changed.check(request)
        })
    };
    assert_eq!(changed(|all| all.secure = Some(true)), Err(Part::Secure));
    assert_eq!(changed(|all| all.clients = vec![3]), Err(Part::Client));
    assert_eq!(
        changed(|all| all.fields[0].0 = "x-none".to_owned()),
        Err(Part::Field)
    );
    assert_eq!(changed(|_| ()), Ok(()));
}

#[test]
fn hosts_are_exact_or_below_a_name() {
    let cases = [
        ("example.com", "example.com", true),
        ("example.com", "EXAMPLE.com:8080", true),
        ("example.com", "example.com.", true),
        ("Example.COM.", "example.com", true),
        ("example.com", "www.example.com", false),
        ("example.com", "badexample.com", false),
        ("*.example.com", "www.example.com", true),
        ("*.example.com", "a.b.example.com:1", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "badexample.com", false),
        ("*", "", true),
        ("*", "anything", true),
        ("[::1]", "[::1]:8000", true),
        ("127.0.0.1", "127.0.0.1:8000", true),
    ];
    for (pattern, authority, expected) in cases {
        let matches = HostPattern::parse(pattern)
            .unwrap()
            .matches(authority.as_bytes());
        assert_eq!(matches, expected, "{pattern} {authority}");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    for text in [
        "",
        ".",
        "a..b",
        "example.com:80",
        "*.*.com",
        "a*b",
        "http://a",
        "a/b",
        "ü.de",
    ] {
        assert!(HostPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn paths_are_exact_prefixes_or_patterns() {
    let cases = [
        ("/about", "/about", true),
        ("/about", "/about/", false),
        ("/static/*", "/static/", true),
        ("/static/*", "/static/a/b", true),
        ("/static/*", "/static", false),
        ("/up*", "/upload", true),
        ("/*", "/", true),
        ("/users/{id}", "/users/7", true),
        ("/users/{id}", "/users/", false),
        ("/users/{id}", "/users/7/", false),
        ("/users/{id}/", "/users/7/", true),
        ("/users/{id}", "/users/7/x", false),
        ("/files/{name*}", "/files/", true),
        ("/files/{name*}", "/files/a/b", true),
        ("/files/{name*}", "/files", false),
        ("/{a}/{b}", "/x/y", true),
        ("/{a}/{b}", "//y", false),
    ];
    for (pattern, asked, expected) in cases {
        let matches = PathPattern::parse(pattern)
            .unwrap()
            .matches(asked.as_bytes());
        assert_eq!(matches, expected, "{pattern} {asked}");
    }
}

#[test]
fn a_bad_path_pattern_says_why() {
    let cases = [
        ("about", "begin with `/`"),
        ("/a?b", "neither `?` nor `#`"),
        ("/a*b", "not at the end"),
        ("/*/*", "not at the end"),
        ("/{}", "letters, digits"),
        ("/{1a}", "letters, digits"),
        ("/{a}/{a}", "comes twice"),
        ("/{a*}/b", "not the last"),
        ("/x{a}", "whole segment"),
        ("/{a", "whole segment"),
    ];
    for (pattern, part) in cases {
        let error = PathPattern::parse(pattern).unwrap_err().to_string();
        assert!(error.contains(part), "{pattern}: {error}");
    }
}

#[test]
fn a_regular_expression_holds_for_the_whole_path() {
    let regex = PathPattern::parse_regex(r"/(?<year>\d{4})/(?<name>[a-z]+)|/x").unwrap();
    assert!(regex.matches(b"/2026/news"));
    assert!(!regex.matches(b"/2026/news/"));
    assert!(!regex.matches(b"/a/2026/news"));
    assert!(regex.matches(b"/x"));
    assert_eq!(regex.names(), ["year", "name"]);
    assert_eq!(regex.capture(b"/2026/news", "name"), Some(&b"news"[..]));
    assert_eq!(regex.capture(b"/x", "name"), Some(&b""[..]));
    assert_eq!(regex.capture(b"/y", "name"), None);
    assert_eq!(regex.capture(b"/2026/news", "query"), None);
}

#[test]
fn a_bad_regular_expression_is_told() {
    for text in ["(", "a)(b", "[", r"(?=look)", r"(a)\1", "(?:a{1000}){1000}"] {
        let error = PathPattern::parse_regex(text).unwrap_err().to_string();
        assert!(
            error.starts_with("is no regular expression"),
            "{text}: {error}"
        );
        assert!(!error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn segments_hand_out_what_they_name() {
    let pattern = PathPattern::parse("/users/{id}/files/{name*}").unwrap();
    let asked = b"/users/7/files/a/b.txt";
    assert_eq!(pattern.names(), ["id", "name"]);
    assert_eq!(pattern.capture(asked, "id"), Some(&b"7"[..]));
    assert_eq!(pattern.capture(asked, "name"), Some(&b"a/b.txt"[..]));
    assert_eq!(pattern.capture(asked, "other"), None);
    assert_eq!(pattern.capture(b"/users/7", "id"), None);
}

#[test]
fn query_values_are_decoded() {
    let values = |query: &'static str, name| -> Vec<_> {
        query_values(query.as_bytes(), name)
            .map(Cow::into_owned)
            .collect()
    };
    assert_eq!(values("a=1&b=2&a=3", "a"), [b"1", b"3"]);
    assert_eq!(values("a=x+y%21", "a"), [b"x y!"]);
    assert_eq!(values("%61=1", "a"), [b"1"]);
    assert_eq!(values("a", "a"), [b""]);
    assert_eq!(values("a=%4", "a"), [b"%4"]);
    assert_eq!(values("", ""), Vec::<Vec<u8>>::new());
}

fn location(template: &str, path: &str, query: &str) -> String {
    let names = ["id"];
    let template = Template::parse(template, Use::Location, &names).unwrap();
    let made = template.render(|name| {
        let value: &[u8] = match name {
            "path" => path.as_bytes(),
            "query" => query.as_bytes(),
            "host" => b"example.com:81",
            "hostname" => b"example.com",
            "port" => b"81",
            "scheme" => b"http",
            _ => b"a b/\xff\r\n",
        };
        Cow::Owned(value.to_vec())
    });
    String::from_utf8(made).unwrap()
}

#[test]
fn a_location_is_made_of_text_and_encoded_values() {
    let cases = [
        ("/new", "/new"),
        ("/new/{id}", "/new/a%20b/%FF%0D%0A"),
        ("{path}{?query}", "/p/%C3%BC?a=%20b"),
        ("/q?{query}&more=1", "/q?a=%20b&more=1"),
        ("https://{host}{path}", "https://example.com:81/p/%C3%BC"),
        ("https://{hostname}/{:port}", "https://example.com/:81"),
        ("{scheme}://www.example.com/", "http://www.example.com/"),
    ];
    for (template, expected) in cases {
        assert_eq!(location(template, "/p/ü", "a=%20b"), expected);
    }
    assert_eq!(location("{path}{?query}", "/p", ""), "/p");
}

// `//evil.example/` is a reference to another host (RFC 3986 section 4.2), and
// browsers take a backslash for a slash.
#[test]
fn a_path_cannot_lead_to_another_host() {
    assert_eq!(location("{path}", "//evil.example", ""), "/evil.example");
    assert_eq!(location("/{path}", "/evil.example", ""), "/evil.example");
    assert_eq!(
        location("{path}", "/\\evil.example", ""),
        "/%5Cevil.example"
    );
    assert_eq!(location("//cdn.example{path}", "/x", ""), "//cdn.example/x");
}

#[test]
fn a_bad_template_says_why() {
    let parse = |text| Template::parse(text, Use::Location, &["id"]).unwrap_err();
    assert_eq!(parse("/{id"), TemplateError::Braces);
    assert_eq!(parse("/id}"), TemplateError::Braces);
    assert_eq!(parse("/a b"), TemplateError::BadCharacter);
    assert_eq!(parse("/a\r\nb"), TemplateError::BadCharacter);
    assert!(parse("/{ID}").to_string().contains("`{id}`, `{host}`"));
    assert!(parse("/{?id}").to_string().contains("names `{?id}`"));
}

#[test]
fn a_route_behind_a_wider_one_is_never_reached() {
    let cases = [
        ("/*", "/a", true),
        ("/a/*", "/a/{id}", true),
        ("/a/*", "/a/b/*", true),
        ("/a/b/*", "/a/*", false),
        ("/a/{x}", "/a/{y}", true),
        ("/a/{x}", "/a/7", true),
        ("/a/{x}", "/a/*", false),
        ("/a", "/a", true),
        ("/a", "/b", false),
    ];
    for (first, second, expected) in cases {
        assert_eq!(
            path(first).covers(&path(second)),
            expected,
            "{first} {second}"
        );
    }
    let only_get = Match {
        methods: vec![b"GET".to_vec()],
        ..path("/*")
    };
    assert!(!only_get.covers(&path("/a")));
    assert!(path("/*").covers(&only_get));
    assert!(Match::default().covers(&only_get));
    assert!(!only_get.covers(&Match::default()));
}

proptest! {
    #[test]
    fn no_path_leads_a_relative_redirect_to_another_host(path in "[/\\\\a.:@%]{0,12}") {
        let made = location("{path}", &path, "");
        prop_assert!(!made.starts_with("//") && !made.starts_with("/\\"), "{made}");
    }

    #[test]
    fn a_location_has_no_byte_that_ends_its_line(path in proptest::collection::vec(any::<u8>(), 0..20)) {
        let template = Template::parse("/x{path}{?query}", Use::Location, &[]).unwrap();
        let made = template.render(|_| Cow::Borrowed(path.as_slice()));
        prop_assert!(made.iter().all(u8::is_ascii_graphic));
    }

    #[test]
    fn patterns_of_any_text_are_parsed_or_refused(text in "\\PC{0,20}", path in "\\PC{0,20}") {
        if let Ok(pattern) = PathPattern::parse(&format!("/{text}")) {
            pattern.matches(path.as_bytes());
        }
        if let Ok(host) = HostPattern::parse(&text) {
            host.matches(path.as_bytes());
        }
        let _ = Template::parse(&text, Use::Path, &[]);
    }
}
