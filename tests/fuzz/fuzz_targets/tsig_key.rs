//! Feeds `soloist_fuzz::target::tsig_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::tsig_key::run(data));
