//! Arbiters and agents that are broken on purpose, each in one way: the checkers must catch every one of them.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The arbiter writes whatever the record was.
    UnconditionalWrite,
    /// The arbiter compares when a request arrives, and writes a little later.
    CompareThenWrite,
    /// The arbiter writes the end of a run whatever the record was.
    UnconditionalEnd,
    /// Every agent has the same id: one a host, or one a configuration, instead of one a start.
    SharedId,
    /// An unknown outcome is taken for a win, and the record is not read again.
    UnknownIsWon,
    /// A refusal is taken for a loss, even though the refused request was a copy of the one that was applied.
    RefusedIsLost,
    /// A renewal that was refused is taken for one that was applied.
    UncheckedRenewal,
    /// A run goes on whatever the contender says and however long ago its lease ended.
    EndlessLease,
    /// A run may act for a lease from when its agent heard that it won, not from when it asked.
    LeaseFromAnswer,
    /// An agent goes by its own wall clock, whatever the arbiter's shows.
    ClockTrusted,
    /// Some agents count attempts in another way.
    FewerAttempts,
    /// An agent reads its clock before it waits for an answer, not after.
    StaleNow,
    /// An agent's monotonic clock stands still while the agent does.
    SleepingClock,
    /// Some agents count missed rounds in another way.
    OtherMissed,
    /// Some agents know nothing of what is not to be repeated.
    AlwaysRepeats,
    /// The next due time is counted from the end of a run.
    CountsFromTheEnd,
    /// What an operator or others wrote is dropped.
    Forgetful,
    /// A run that failed leaves a text.
    CommitsFailures,
    /// A claim drops the job's text.
    DropsState,
    /// A run is handed the text that its agent knows, not the one in the claim.
    OldState,
    /// A run that is stopped writes its text nevertheless, beside whatever stands there.
    CommitsAlone,
    /// Some agents claim with whatever module they hold.
    AnyModule,
    /// An agent sleeps for a minute too long.
    Oversleeps,
    /// The contender is never told that a run has ended.
    Deaf,
    /// An agent looks at the record again and again instead of sleeping.
    Restless,
    /// An agent gives up every exchange at once, and asks again.
    Impatient,
}

impl Broken {
    /// All of them, each with the checker that must catch it.
    pub(crate) const ALL: [(Self, &'static str); 28] = [
        (Self::UnconditionalWrite, "rising_fences"),
        (Self::UnconditionalWrite, "unique_writes"),
        (Self::CompareThenWrite, "one_start_a_fence"),
        (Self::UnconditionalEnd, "record_forward"),
        (Self::SharedId, "one_start_a_fence"),
        (Self::UnknownIsWon, "one_start_a_fence"),
        (Self::RefusedIsLost, "nothing_abandoned"),
        (Self::UncheckedRenewal, "no_overlap"),
        (Self::EndlessLease, "no_overlap"),
        (Self::LeaseFromAnswer, "no_overlap"),
        (Self::ClockTrusted, "no_overlap"),
        (Self::FewerAttempts, "no_round_lost"),
        (Self::StaleNow, "time_to_run"),
        (Self::SleepingClock, "no_overlap"),
        (Self::OtherMissed, "passed_over"),
        (Self::AlwaysRepeats, "at_most_once"),
        (Self::CountsFromTheEnd, "no_drift"),
        (Self::Forgetful, "control_kept"),
        (Self::UnconditionalEnd, "state_kept"),
        (Self::CommitsFailures, "state_kept"),
        (Self::DropsState, "state_kept"),
        (Self::OldState, "state_kept"),
        (Self::CommitsAlone, "state_kept"),
        (Self::AnyModule, "same_module"),
        (Self::Oversleeps, "no_round_waits"),
        (Self::Deaf, "progress"),
        (Self::Restless, "calm"),
        (Self::Impatient, "one_exchange"),
    ];
}
