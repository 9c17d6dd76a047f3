//! The targets of `tests/vectors/static/traversal.txt`, from the bytes of a request to
//! the name of a file: none leads out of the folder.

#![expect(clippy::unwrap_used, reason = "a broken vector must fail the test")]

use std::{
    fs,
    path::{Component, Path},
};

use trivet_core::{
    file_path::{DotFiles, NoFile, resolve},
    gate::{Admitted, GatePolicy, admit},
    http1::{Head, HeadLimits, Parse},
};

const MOUNT: &[u8] = b"/static/";

/// What becomes of a target, in the words of the file.
fn outcome(target: &str, dot_files: DotFiles) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let buf = request.as_bytes();
    let (mut head, mut admitted) = (Head::default(), Admitted::default());
    let admission = head
        .parse(buf, &HeadLimits::default())
        .inspect(|parse| assert_eq!(*parse, Parse::Complete, "{target}"))
        .and_then(|_| admit(&head, buf, &GatePolicy::default(), &mut admitted));
    if let Err(problem) = admission {
        assert_eq!(problem.status(), 400, "{target}");
        return "gate".to_owned();
    }
    match resolve(&admitted.path, admitted.raw_path.of(buf), MOUNT, dot_files) {
        Ok(found) => {
            assert_is_below(found.relative, target);
            let slash = if found.is_folder { "/" } else { "" };
            format!("file {:?}", format!("{}{slash}", found.relative))
        }
        Err(NoFile::OutsideMount) => "outside".to_owned(),
        Err(reason) => format!("no-file {reason:?}"),
    }
}

/// Joined to a folder, `relative` lies in it: by the eyes of the standard library, and
/// by those of a system with other separators.
fn assert_is_below(relative: &str, target: &str) {
    let mut components = Path::new(relative).components();
    assert!(
        components.all(|component| matches!(component, Component::Normal(_))),
        "{target}"
    );
    let mut names = relative.split(['/', '\\']);
    assert!(!names.any(|name| name == ".." || name == "."), "{target}");
    assert!(!relative.starts_with(['/', '\\']) && !relative.contains('\0'));
}

fn vectors() -> Vec<(String, String)> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/static/traversal.txt");
    let vectors: Vec<_> = fs::read_to_string(path)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (target, outcome) = line.split_once('\t').unwrap();
            (target.to_owned(), outcome.to_owned())
        })
        .collect();
    assert!(vectors.len() > 150, "only {} vectors", vectors.len());
    vectors
}

#[test]
fn every_target_comes_out_as_the_file_says() {
    let wrong: Vec<_> = vectors()
        .into_iter()
        .map(|(target, expected)| (outcome(&target, DotFiles::Refuse), expected, target))
        .filter(|(found, expected, _)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "found, expected, target: {wrong:#?}");
}

#[test]
fn no_target_leads_out_where_dot_files_are_served() {
    for (target, _) in vectors() {
        for dot_files in [DotFiles::Allow, DotFiles::RefuseButWellKnown] {
            outcome(&target, dot_files);
        }
    }
}
