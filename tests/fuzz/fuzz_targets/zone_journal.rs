//! Feeds `soloist_fuzz::target::zone_journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::zone_journal::run(data));
