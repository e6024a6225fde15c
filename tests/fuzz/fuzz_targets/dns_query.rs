//! Feeds `soloist_fuzz::target::dns_query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soloist_fuzz::target::dns_query::run(data));
