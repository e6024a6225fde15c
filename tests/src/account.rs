//! What became of each round of a fleet: run, run again, merged into a later one as the README says, or lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use soloist::round::Fence;

use crate::agents::{Event, Log};
use crate::counter::Call;

/// One start of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// For which claim.
    pub fence: Fence,
    /// By whom.
    pub agent: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The starts that a counter was told of by the probe in its mode `sleep`.
pub fn counted(calls: &[Call]) -> Vec<Start> {
    let starts = calls.iter().filter(|call| call.phase == "start");
    starts.map(|call| Start { fence: call.fence, agent: call.agent.clone(), at_ms: call.at_ms }).collect()
}

/// The starts that the agents themselves tell of.
pub fn told(log: &Log) -> Vec<Start> {
    let won = log.all(|event| event.kind() == "won");
    won.into_iter().map(|event| Start { fence: event.fence(), at_ms: event.at_ms, agent: event.agent }).collect()
}

/// Some consecutive rounds.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// The first and the last of them.
    pub all: RangeInclusive<u64>,
    /// The seconds between two of them.
    pub every: u64,
    /// When no agent could reach the arbiter, in milliseconds since the Unix epoch, if ever: until it could again, and
    /// every agent had time to notice.
    pub unreachable: Option<RangeInclusive<u64>>,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// How many rounds were run.
    pub run: usize,
    /// Fences with more than one run, and whose they were.
    pub twice: Vec<String>,
    /// How many runs were another attempt at a round.
    pub again: usize,
    /// How many rounds were due while the arbiter was out of everybody's reach, and were not run.
    pub unreachable: usize,
    /// How many rounds were due while an earlier one was not yet done, and were not run.
    pub merged: usize,
    /// All other rounds that were not run.
    pub lost: Vec<u64>,
    /// The longest time between the starts of two runs, in milliseconds.
    pub gap_ms: u64,
}

impl Account {
    /// Draws it up.
    pub fn of(starts: &[Start], log: &Log, rounds: &Rounds) -> Self {
        let starts: Vec<&Start> = starts.iter().filter(|start| rounds.all.contains(&start.fence.round)).collect();
        let run: BTreeSet<u64> = starts.iter().map(|start| start.fence.round).collect();
        let done = done(log);
        let mut account = Self {
            run: run.len(),
            twice: twice(&starts),
            again: starts.iter().filter(|start| start.fence.attempt > 1).count(),
            unreachable: 0,
            merged: 0,
            lost: Vec::new(),
            gap_ms: gap_ms(&starts),
        };
        let every = usize::try_from(rounds.every).expect("it is small");
        for due in rounds.all.clone().step_by(every).filter(|due| !run.contains(due)) {
            let due_ms = due * 1000;
            if rounds.unreachable.as_ref().is_some_and(|time| time.contains(&due_ms)) {
                account.unreachable += 1;
            } else if done.range(..due).any(|(_, done_ms)| *done_ms >= due_ms) {
                account.merged += 1;
            } else {
                account.lost.push(due);
            }
        }
        account
    }
}

/// When the last word on each round stood in the record.
fn done(log: &Log) -> BTreeMap<u64, u64> {
    let mut done = BTreeMap::new();
    // Not `superseded` and the like: an agent that was frozen may say that of a round that is long over.
    let words = |event: &Event| matches!(event.kind(), "won" | "finished" | "freed" | "closed");
    for event in log.all(words) {
        let last: &mut u64 = done.entry(event.number("round")).or_default();
        *last = event.at_ms.max(*last);
    }
    done
}

fn twice(starts: &[&Start]) -> Vec<String> {
    let mut by: BTreeMap<Fence, Vec<&str>> = BTreeMap::new();
    for start in starts {
        by.entry(start.fence).or_default().push(&start.agent);
    }
    by.iter().filter(|(_, by)| by.len() > 1).map(|(fence, by)| format!("{fence} by {}", by.join(" and "))).collect()
}

fn gap_ms(starts: &[&Start]) -> u64 {
    let mut times: Vec<u64> = starts.iter().map(|start| start.at_ms).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, twice, again, unreachable, merged, lost, gap_ms } = self;
        let (twice, lost) = (twice.len(), lost.len());
        write!(
            f,
            "{run:3} rounds, {again:2} runs again, {twice} fences twice, {lost} lost, {merged:2} merged, {unreachable:2} \
             out of reach, longest gap {gap_ms:5} ms"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(round: u64, attempt: u32, agent: &str, at_ms: u64) -> Start {
        Start { fence: Fence { round, attempt }, agent: agent.to_owned(), at_ms }
    }

    fn log(lines: &[(&str, u64, u64)]) -> Log {
        let log = Log::default();
        for (kind, round, at_ms) in lines {
            let said = json!({"event": kind, "round": round});
            log.add(Event { agent: "alto".to_owned(), at_ms: *at_ms, said });
        }
        log
    }

    fn rounds(unreachable: Option<RangeInclusive<u64>>) -> Rounds {
        Rounds { all: 100..=108, every: 2, unreachable }
    }

    #[test]
    fn a_round_that_was_not_run_is_lost_unless_something_excuses_it() {
        let starts = [start(100, 1, "alto", 100_010), start(108, 1, "basso", 108_010)];
        // The first one was done when the second was due; the frozen one's late word excuses nothing.
        let log = log(&[("won", 100, 100_010), ("finished", 100, 103_900), ("superseded", 100, 107_000)]);
        let account = Account::of(&starts, &log, &rounds(None));
        assert_eq!((account.run, account.merged, account.lost), (2, 1, vec![104, 106]));
        let account = Account::of(&starts, &log, &rounds(Some(103_000..=105_000)));
        assert_eq!((account.unreachable, account.merged, account.lost), (1, 1, vec![106]));
        assert_eq!(account.gap_ms, 8_000);
    }

    #[test]
    fn a_fence_with_two_runs_is_named_and_another_attempt_is_none() {
        let fences = [(100, 1, "alto"), (100, 2, "basso"), (102, 1, "alto"), (102, 1, "canto"), (110, 1, "alto")];
        let starts = fences.map(|(round, attempt, agent)| start(round, attempt, agent, round * 1000));
        let account = Account::of(&starts, &log(&[]), &rounds(None));
        assert_eq!((account.run, account.again, account.twice), (2, 1, vec!["102/1 by alto and canto".to_owned()]));
    }
}
