//! Feeds `soloist_fuzz::target::clock`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::clock::run(data));
