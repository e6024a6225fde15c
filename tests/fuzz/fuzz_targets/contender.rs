//! Feeds `soloist_fuzz::target::contender`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::contender::run(data));
