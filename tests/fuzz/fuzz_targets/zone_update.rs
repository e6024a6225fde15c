//! Feeds `soloist_fuzz::target::zone_update`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::zone_update::run(data));
