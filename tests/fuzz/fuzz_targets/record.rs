//! Feeds `soloist_fuzz::target::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::record::run(data));
