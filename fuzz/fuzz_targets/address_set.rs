#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| trivet_fuzz::access::address_set(data));
