//! The fuzz targets of this crate over their corpora, and over other bytes: so that
//! what fuzzing has found stays mended, without a nightly compiler.

#![expect(
    clippy::unwrap_used,
    reason = "a corpus that cannot be read must fail the test"
)]

#[path = "../../../fuzz/src/access.rs"]
#[expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "a target panics where a property does not hold, and is public for libFuzzer"
)]
mod access;

#[path = "../../../fuzz/src/core.rs"]
#[expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "a target panics where a property does not hold, and is public for libFuzzer"
)]
mod core;

#[path = "../../../fuzz/src/files.rs"]
#[expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "a target panics where a property does not hold, and is public for libFuzzer"
)]
mod files;

use std::{fs, path::Path};

use proptest::prelude::*;

fn targets() -> impl Iterator<Item = core::Target> {
    let access = access::TARGETS.into_iter();
    access.chain(core::TARGETS).chain(files::TARGETS)
}

/// The seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}

#[test]
fn the_targets_hold_over_their_seeds() {
    for (name, target) in targets() {
        for seed in seeds(name) {
            target(&seed);
        }
    }
}

#[test]
fn the_targets_hold_over_damaged_seeds() {
    for (name, target) in targets() {
        for seed in seeds(name) {
            for at in (0..seed.len()).step_by(seed.len() / 64 + 1) {
                for byte in [0, b'\n', b'"', seed[at] ^ 1, 0xff] {
                    let mut damaged = seed.clone();
                    damaged[at] = byte;
                    target(&damaged);
                }
                target(&seed[..at]);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_targets_hold_over_any_bytes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, target) in targets() {
            target(&data);
        }
    }
}
