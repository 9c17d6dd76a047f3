use std::io::Read;

use proptest::prelude::*;

use super::*;

const LEVELS: Levels = Levels {
    br: 4,
    gzip: 4,
    zstd: 3,
};
const CODINGS: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

/// What a client makes of the bytes that it has, and whether they are whole.
fn decode(coding: Coding, data: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let read = match coding {
        Coding::Identity => {
            out.extend_from_slice(data);
            return (out, true);
        }
        Coding::Gzip => read_all(flate2::read::GzDecoder::new(data), &mut out),
        Coding::Br => read_all(brotli::Decompressor::new(data, 1), &mut out),
        Coding::Zstd => read_all(zstd::stream::read::Decoder::new(data).unwrap(), &mut out),
    };
    (out, read)
}

/// Byte by byte, so that all that can be decoded is there before a missing end is noticed.
fn read_all(mut decoder: impl Read, out: &mut Vec<u8>) -> bool {
    let mut byte = [0];
    loop {
        match decoder.read(&mut byte) {
            Ok(0) => return true,
            Ok(_) => out.push(byte[0]),
            Err(_) => return false,
        }
    }
}

fn encode(encoder: &mut Encoder, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.push(content, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

fn json(rows: usize) -> Vec<u8> {
    let row = |at: usize| {
        format!(
            "{{\"id\": {at}, \"name\": \"row {}\", \"on\": true}}",
            at * 7
        )
    };
    (0..rows)
        .map(row)
        .collect::<Vec<_>>()
        .join(", ")
        .into_bytes()
}

#[test]
fn every_level_can_be_read() {
    let content = json(300);
    for coding in CODINGS {
        for level in 0..=u8::MAX {
            if level > 20 && level < u8::MAX {
                continue;
            }
            let levels = Levels {
                br: level,
                gzip: level,
                zstd: level,
            };
            let mut encoder = Encoder::new(coding, &levels, None).unwrap();
            let coded = encode(&mut encoder, &content);
            assert!(coded.len() < content.len() / 2, "{coding:?} {level}");
            assert_eq!(decode(coding, &coded), (content.clone(), true));
        }
    }
}

#[test]
fn nothing_is_a_content_too() {
    for coding in CODINGS {
        let mut encoder = Encoder::new(coding, &LEVELS, None).unwrap();
        let mut out = Vec::new();
        encoder.flush(&mut out).unwrap();
        assert_eq!(out, b"", "{coding:?}");
        encoder.push(b"", &mut out).unwrap();
        encoder.flush(&mut out).unwrap();
        assert_eq!(out, b"", "{coding:?}");
        encoder.finish(&mut out).unwrap();
        assert_eq!(decode(coding, &out), (Vec::new(), true), "{coding:?}");
    }
}

#[test]
fn an_encoder_can_be_used_again_whatever_became_of_it() {
    let content = json(2000);
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, &LEVELS, Some(content.len() as u64)).unwrap();
        let first = encode(&mut encoder, &content);
        encoder.restart(None).unwrap();
        // Left in the middle, and once more.
        encoder.push(&content, &mut Vec::new()).unwrap();
        encoder.restart(Some(content.len() as u64)).unwrap();
        assert_eq!(encode(&mut encoder, &content), first, "{coding:?}");
        encoder.restart(Some(3)).unwrap();
        let coded = encode(&mut encoder, b"abc");
        assert_eq!(
            decode(coding, &coded),
            (b"abc".to_vec(), true),
            "{coding:?}"
        );
    }
}

#[test]
fn a_length_that_was_wrong_is_no_panic() {
    let mut encoder = Encoder::new(Coding::Zstd, &LEVELS, Some(10)).unwrap();
    let mut out = Vec::new();
    let pushed = encoder.push(&vec![7; 100_000], &mut out);
    let done = pushed.and_then(|()| encoder.finish(&mut out));
    assert_eq!(done.unwrap_err().to_string(), "the zstd coder failed");
}

// RFC 9659: a browser need not have room for more than 8 MiB.
#[test]
fn the_window_of_zstandard_is_small() {
    let content = json(400_000);
    for levels in [LEVELS, Levels::for_stored(1), Levels::for_stored(1 << 30)] {
        let mut encoder = Encoder::new(Coding::Zstd, &levels, None).unwrap();
        let mut out = Vec::new();
        encoder.push(&content[..1 << 20], &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        let mut decoder = zstd::stream::read::Decoder::new(out.as_slice()).unwrap();
        decoder.window_log_max(ZSTD_WINDOW_BITS).unwrap();
        let mut read = Vec::new();
        decoder.read_to_end(&mut read).unwrap();
        assert_eq!(read, content[..1 << 20]);
    }
}

#[test]
fn a_stream_of_zstandard_holds_no_more_than_is_said() {
    let content = json(100_000);
    for level in 1..=6 {
        let mut inner = zstd(level, None).unwrap();
        let mut out = Vec::new();
        assert!(run(
            &mut inner,
            &content,
            ZSTD_EndDirective::ZSTD_e_continue,
            &mut out
        ));
        let held = inner.sizeof() as u64;
        let levels = Levels {
            zstd: level,
            ..LEVELS
        };
        assert!(
            held <= stream_bytes(Coding::Zstd, &levels),
            "{level}: {held}"
        );
    }
}

#[test]
fn what_is_stored_is_coded_harder_the_smaller_it_is() {
    let (small, large) = (Levels::for_stored(512 << 10), Levels::for_stored(1 << 20));
    assert!(small.br > large.br && small.gzip > large.gzip && small.zstd > large.zstd);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_split_decodes_to_the_same(
        content in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20_000),
            "[a-d\"{} ]{0,9000}".prop_map(String::into_bytes),
        ],
        cuts in prop::collection::vec((0..20_000_usize, any::<bool>()), 0..8),
        which in 0..3_usize,
    ) {
        let coding = CODINGS[which];
        let mut encoder = Encoder::new(coding, &LEVELS, None).unwrap();
        let mut out = Vec::new();
        let mut rest = content.as_slice();
        for (cut, is_flushed) in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            encoder.push(piece, &mut out).unwrap();
            rest = behind;
            if is_flushed {
                encoder.flush(&mut out).unwrap();
                let so_far = &content[..content.len() - rest.len()];
                // A client reads an event without waiting for the next.
                prop_assert_eq!(decode(coding, &out).0, so_far);
            }
        }
        encoder.push(rest, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        prop_assert_eq!(decode(coding, &out), (content, true));
    }
}
