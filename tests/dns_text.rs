//! Data of records as text: whatever a job writes, and whatever a server sends, nothing panics.

use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use soloist::arbiter::presentation::{data_from, data_text};

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(code in any::<u16>(), text in ".{0,80}") {
        if let Ok(data) = data_from(RecordType::from(code), &text) {
            data_text(&data);
        }
    }

    #[test]
    fn no_fields_make_the_reader_panic(
        code in prop::sample::select(vec![6_u16, 13, 15, 33, 35, 37, 43, 44, 52, 53, 61, 62, 64, 65, 257]),
        text in "[0-9a-f.\"\\\\();= ,@$#-]{0,60}",
    ) {
        if let Ok(data) = data_from(RecordType::from(code), &text) {
            data_text(&data);
        }
    }

    #[test]
    fn no_bytes_make_the_writer_panic(code in any::<u16>(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Ok(data) = data_from(RecordType::from(code), &format!("\\# {} {hex}", bytes.len())) {
            data_text(&data);
        }
    }
}
