#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| trivet_fuzz::files::glob(data));
