//! Feeds `soloist_fuzz::target::seal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::seal::run(data));
