//! Every arbiter passes the same suite: the one in memory, and `rfc2136` against the embedded server, BIND 9, Knot and PowerDNS.

use anyhow::Result;
use soloist::arbiter::tsig::Algorithm;
use soloist_tests::conformance::{self, InMemory, Subject, primary};
use soloist_tests::servers::{self, Kind};

/// One test: what it is called is what it proves.
macro_rules! check {
    ($suite:ident::$name:ident($subject:expr) $(ignored $reason:literal)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[ignore = $reason])?
        async fn $name() -> Result<()> {
            $suite::$name($subject).await
        }
    };
}

/// What every arbiter must do.
macro_rules! every_arbiter {
    ($subject:expr $(, ignored $reason:literal)?) => {
        check!(conformance::a_missing_name_is_absent($subject) $(ignored $reason)?);
        check!(conformance::a_record_is_created_once($subject) $(ignored $reason)?);
        check!(conformance::the_right_revision_replaces($subject) $(ignored $reason)?);
        check!(conformance::a_stale_revision_changes_nothing($subject) $(ignored $reason)?);
        check!(conformance::the_same_record_has_the_same_revision($subject) $(ignored $reason)?);
        check!(conformance::a_second_record_is_seen_and_repaired($subject) $(ignored $reason)?);
        check!(conformance::a_revision_covers_every_record($subject) $(ignored $reason)?);
        check!(conformance::long_values_come_back_whole($subject) $(ignored $reason)?);
        check!(conformance::any_text_comes_back($subject) $(ignored $reason)?);
        check!(conformance::what_is_no_record_can_be_replaced($subject) $(ignored $reason)?);
        check!(conformance::a_value_in_odd_strings_is_replaced($subject) $(ignored $reason)?);
        check!(conformance::unknown_fields_survive($subject) $(ignored $reason)?);
        check!(conformance::a_removed_record_can_be_created_again($subject) $(ignored $reason)?);
        check!(conformance::records_do_not_touch_each_other($subject) $(ignored $reason)?);
        check!(conformance::one_claimant_has_each_round($subject) $(ignored $reason)?);
    };
}

/// What `rfc2136` must do at every primary.
macro_rules! every_primary {
    ($kind:expr $(, ignored $reason:literal)?) => {
        every_arbiter!(&server($kind).await? $(, ignored $reason)?);
        check!(primary::every_algorithm_is_understood($kind) $(ignored $reason)?);
        check!(primary::a_wrong_key_is_refused_in_words($kind) $(ignored $reason)?);
        check!(primary::another_zone_is_refused_in_words($kind) $(ignored $reason)?);
        check!(primary::an_alias_is_never_claimed($kind) $(ignored $reason)?);
        check!(primary::strings_are_compared_exactly($kind) $(ignored $reason)?);
        check!(primary::one_claimant_has_each_round_over_one_connection($kind) $(ignored $reason)?);
        check!(primary::a_restarted_server_is_found_again($kind) $(ignored $reason)?);
    };
}

async fn server(kind: Kind) -> Result<impl Subject> {
    servers::start(kind, Algorithm::HmacSha256).await
}

mod memory {
    use super::*;
    every_arbiter!(&InMemory::default());
}

mod embedded {
    use super::*;
    every_primary!(Kind::Embedded);
    check!(primary::values_are_compared_with_regard_to_case(Kind::Embedded));
}

mod bind {
    use super::*;
    every_primary!(Kind::Bind, ignored "needs bind9; tests/run installs it");
    check!(primary::values_are_compared_with_regard_to_case(Kind::Bind) ignored "needs bind9; tests/run installs it");
    check!(primary::a_frozen_server_leaves_a_claim_unknown(Kind::Bind) ignored "needs bind9; tests/run installs it");
}

mod knot {
    use super::*;
    every_primary!(Kind::Knot, ignored "needs knot; tests/run installs it");
    check!(primary::values_are_compared_with_regard_to_case(Kind::Knot) ignored "needs knot; tests/run installs it");
    check!(primary::a_frozen_server_leaves_a_claim_unknown(Kind::Knot) ignored "needs knot; tests/run installs it");
}

mod powerdns {
    use super::*;
    every_primary!(Kind::PowerDns, ignored "needs pdns-server and pdns-backend-sqlite3; tests/run installs them");
    check!(primary::a_frozen_server_leaves_a_claim_unknown(Kind::PowerDns) ignored "needs pdns-server and pdns-backend-sqlite3; tests/run installs them");
    // Instead of `values_are_compared_with_regard_to_case`, which it does not do.
    check!(primary::values_are_compared_without_regard_to_case(Kind::PowerDns) ignored "needs pdns-server and pdns-backend-sqlite3; tests/run installs them");
}
