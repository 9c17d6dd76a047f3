use std::path::{Component, Path};

use super::*;
use proptest::prelude::*;

/// `relative`, with a slash if a folder is asked for.
fn resolved(path: &str, mount: &str, dot_files: DotFiles) -> Result<String, NoFile> {
    let found = resolve(
        path.as_bytes(),
        path.as_bytes(),
        mount.as_bytes(),
        dot_files,
    )?;
    Ok(format!(
        "{}{}",
        found.relative,
        if found.is_folder { "/" } else { "" }
    ))
}

#[test]
fn a_path_below_the_mount_names_a_file_or_a_folder() {
    let cases = [
        ("/", "/", "/"),
        ("/", "", "/"),
        ("/a", "/", "a"),
        ("/a/", "/", "a/"),
        ("/a/b.css", "/", "a/b.css"),
        ("/static/a/b.css", "/static", "a/b.css"),
        ("/static/a/b.css", "/static/", "a/b.css"),
        ("/static/", "/static", "/"),
        ("/static/", "/static/", "/"),
        ("/static", "/static", ""),
        ("/static", "/static/", ""),
        ("/static/static/", "/static", "static/"),
        ("/a b/\u{e9}.txt", "/", "a b/\u{e9}.txt"),
        ("/a..b/c.", "/", "a..b/c."),
        ("/%2e%2e", "/", "%2e%2e"),
        ("/~user/a;b=c:d", "/", "~user/a;b=c:d"),
        ("/con/nul.txt", "/", "con/nul.txt"),
    ];
    for (path, mount, expected) in cases {
        let found = resolved(path, mount, DotFiles::Refuse);
        assert_eq!(found.as_deref(), Ok(expected), "{path} below {mount}");
    }
}

#[test]
fn what_is_no_plain_name_is_no_file() {
    let long = format!("/{}", "a".repeat(256));
    let cases = [
        ("/other/a", "/static", NoFile::OutsideMount),
        ("/staticfile", "/static", NoFile::OutsideMount),
        ("/staticfile", "/static/", NoFile::OutsideMount),
        ("/Static/a", "/static", NoFile::OutsideMount),
        ("*", "/", NoFile::OutsideMount),
        ("*", "/static", NoFile::OutsideMount),
        ("//", "/", NoFile::EmptyName),
        ("//a", "/", NoFile::EmptyName),
        ("/a//b", "/", NoFile::EmptyName),
        ("/a//", "/", NoFile::EmptyName),
        ("/static//", "/static", NoFile::EmptyName),
        ("/static//etc/passwd", "/static/", NoFile::EmptyName),
        ("/..", "/", NoFile::DotFile),
        ("/a/../b", "/", NoFile::DotFile),
        ("/a/./b", "/", NoFile::DotFile),
        ("/a/.", "/", NoFile::DotFile),
        ("/.git/config", "/", NoFile::DotFile),
        ("/a/.env", "/", NoFile::DotFile),
        ("/..;/a", "/", NoFile::DotFile),
        ("/....//a", "/", NoFile::DotFile),
        ("/.well-known/x", "/", NoFile::DotFile),
        ("/a\\b", "/", NoFile::Backslash),
        ("/..\\a", "/", NoFile::Backslash),
        ("/a\u{0}.png", "/", NoFile::ControlCharacter),
        ("/a\nb", "/", NoFile::ControlCharacter),
        ("/a\u{7f}", "/", NoFile::ControlCharacter),
        ("/a%2fb", "/", NoFile::EncodedSlash),
        ("/a%2Fb", "/", NoFile::EncodedSlash),
        (&long, "/", NoFile::TooLong),
    ];
    for (path, mount, expected) in cases {
        let found = resolved(path, mount, DotFiles::Refuse);
        assert_eq!(found, Err(expected), "{path} below {mount}");
    }
    for path in [
        b"/\xc0\xae\xc0\xae/a".as_slice(),
        b"/a\xc0\xafb",
        b"/\xe9",
        b"/a/\xff",
    ] {
        let found = resolve(path, b"/", b"/", DotFiles::Allow);
        assert_eq!(found, Err(NoFile::Utf8), "{path:?}");
    }
}

#[test]
fn dot_files_are_the_operators_choice() {
    use DotFiles::{Allow, Refuse, RefuseButWellKnown};
    let cases = [
        ("/.git/config", "/", [true, false, false]),
        ("/a/.b", "/", [true, false, false]),
        ("/.well-known/security.txt", "/", [true, false, true]),
        ("/.well-known/", "/", [true, false, true]),
        ("/.well-known", "/", [true, false, true]),
        ("/.well-known/.git", "/", [true, false, false]),
        ("/.well-known-not", "/", [true, false, false]),
        ("/a/.well-known/x", "/", [true, false, false]),
        // Below another mount it is not at the root of the site.
        ("/a/.well-known/x", "/a", [true, false, false]),
        ("/.well-known/acme/x", "/.well-known", [true, true, true]),
        ("/..", "/", [false, false, false]),
        ("/.", "/", [false, false, false]),
        ("/a/../b", "/", [false, false, false]),
        ("/...", "/", [true, false, false]),
    ];
    for (path, mount, expected) in cases {
        for (dot_files, expected) in [Allow, Refuse, RefuseButWellKnown]
            .into_iter()
            .zip(expected)
        {
            let found = resolved(path, mount, dot_files);
            assert_eq!(
                found.is_ok(),
                expected,
                "{path} below {mount}, {dot_files:?}"
            );
        }
    }
}

/// What no answer may ever break, whatever was asked.
fn assert_is_below(found: &FilePath<'_>) {
    assert!(!found.relative.starts_with('/') && !found.relative.ends_with('/'));
    assert!(!found.relative.contains(['\\', '\0']));
    let mut components = Path::new(found.relative).components();
    assert!(components.all(|component| matches!(component, Component::Normal(_))));
    let names = found.relative.split('/').filter(|name| !name.is_empty());
    assert_eq!(
        names.count(),
        Path::new(found.relative).components().count()
    );
}

proptest! {
    #[test]
    fn nothing_leads_out_of_the_folder(
        path in "/[./\\\\a%2fe;~ \u{0}\u{ff0e}]{0,24}",
        mount in "(/|/a/?|/a/e)",
    ) {
        for dot_files in [DotFiles::Allow, DotFiles::Refuse, DotFiles::RefuseButWellKnown] {
            let found = resolve(path.as_bytes(), path.as_bytes(), mount.as_bytes(), dot_files);
            if let Ok(found) = found {
                assert_is_below(&found);
            }
        }
    }

    #[test]
    fn a_plain_name_is_found_below_every_mount(
        names in prop::collection::vec("[a-z\u{e9}][a-z.\u{e9} -]{0,8}", 1..4),
        mount in "(/[a-z]{1,4}){0,2}/?",
        is_folder: bool,
    ) {
        let relative = names.join("/");
        let slash = if is_folder { "/" } else { "" };
        let path = format!("{}/{relative}{slash}", mount.trim_end_matches('/'));
        let found = resolve(path.as_bytes(), path.as_bytes(), mount.as_bytes(), DotFiles::Refuse);
        prop_assert_eq!(found, Ok(FilePath { relative: &relative, is_folder }));
    }

    #[test]
    fn any_bytes_are_survived(path: Vec<u8>, raw: Vec<u8>, mount: Vec<u8>) {
        if let Ok(found) = resolve(&path, &raw, &mount, DotFiles::Allow) {
            assert_is_below(&found);
        }
    }
}
