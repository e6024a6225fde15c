//! The id of one start of one agent: unique, because an agent that forgot what it wrote must not take it for its own.

use rand::RngCore;

/// A new id: the agent's name and 64 random bits. Lower-case, since PowerDNS compares TXT without regard to case.
pub fn new_id(name: &str) -> String {
    format!("{name}-{:016x}", rand::rng().next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::MAX_ID_BYTES;

    #[test]
    fn ids_differ_from_start_to_start_and_fit_a_record() {
        let name = "x".repeat(40);
        assert_ne!(new_id(&name), new_id(&name));
        assert!(new_id(&name).len() <= MAX_ID_BYTES);
    }
}
