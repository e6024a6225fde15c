//! Feeds `soloist_fuzz::target::schedule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::schedule::run(data));
