//! Everything that can happen next, and what comes of it.

use std::sync::Arc;

use soloist::round::contender::{self, Event};
use soloist::round::{Change, Outcome};

use crate::agent::{Answer, Deed, Exchange, FAILED, Run, counted};
use crate::arbiter::{operator_writes, replace, serve_replacement};
use crate::laws::Law;
use crate::options::{Broken, Budget, CALM_STEPS, Options, STEP_MS};
use crate::world::World;

/// One thing that happens. An agent is named by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Time advances.
    Time,
    /// Time advances, and an agent that has something to do by then does not get a turn.
    TimeWithout(usize),
    /// It gets one.
    Wake(usize),
    /// The arbiter takes up what an agent asks for.
    Serve(usize, Served),
    /// An answer comes back to its agent.
    Answer(usize),
    /// A copy of a replacement arrives whose client has given it up, or has an answer already.
    Arrive(usize),
    /// A run ends well, or fails.
    End(usize, Ended),
    /// An agent is asked to leave at once.
    GiveBack(usize),
    /// An agent vanishes; what it asked for vanishes with it, or is still on its way.
    Crash(usize, OnItsWay),
    /// It is started again.
    Restart(usize),
    /// An operator reads the record.
    OperatorReads,
    /// And writes.
    OperatorWrites,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    Well,
    /// The answer takes some time.
    Slowly,
    /// Nothing is read or written, and the agent hears so.
    Failed,
    /// It is applied or refused, and the answer is lost.
    AnswerLost,
    /// Its agent gives up while it is on its way.
    GivenUp,
    /// It arrives a second time, later.
    Twice,
    /// It arrives a second time at once, and only the second answer reaches its agent.
    Echoed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnItsWay {
    Nothing,
    Replacement,
}

impl Step {
    /// The agent to which it happens.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Wake(place)
            | Self::Serve(place, _)
            | Self::Answer(place)
            | Self::End(place, _)
            | Self::GiveBack(place)
            | Self::Crash(place, _)
            | Self::Restart(place) => Some(place),
            Self::Time | Self::TimeWithout(_) | Self::Arrive(_) | Self::OperatorReads | Self::OperatorWrites => None,
        }
    }

    /// Whether it may as well never happen.
    pub(crate) const fn is_optional(self) -> bool {
        matches!(self, Self::Arrive(_) | Self::End(..) | Self::Restart(_))
    }
}

/// All that can happen in this state.
pub(crate) fn possible(world: &World, options: &Options, steps: &mut Vec<Step>) {
    if world.violated != 0 {
        return;
    }
    let budget = world.budget;
    let end_ms = options.steps * STEP_MS;
    let is_calm = is_calm(world, options);
    let mut is_pending = false;
    // Agents to which nothing has happened yet are alike: it happens to the first of them.
    let fresh = world.agents.iter().position(|agent| agent.is_fresh && options.has_equal_agents());
    for (place, agent) in world.agents.iter().enumerate() {
        let is_due = agent.is_due(world.at_ms);
        is_pending |= agent.is_pending(world.at_ms);
        if agent.is_fresh && fresh.is_some_and(|fresh| fresh < place) {
            continue;
        }
        if let Some(exchange) = &agent.exchange {
            answers(place, exchange, budget, is_calm, steps);
        }
        if is_due {
            steps.push(Step::Wake(place));
        }
        if agent.acts(world.at_ms) {
            steps.push(Step::End(place, Ended::Well));
            if !is_calm && budget.failures > 0 {
                steps.push(Step::End(place, Ended::Failed));
            }
        }
        if agent.contender.is_none() {
            if !agent.is_done && world.at_ms < end_ms {
                steps.push(Step::Restart(place));
            }
        } else if !is_calm {
            if budget.crashes > 0 {
                steps.push(Step::Crash(place, OnItsWay::Nothing));
                if budget.doubts > 0 && matches!(agent.exchange, Some(Exchange::Replace(_))) {
                    steps.push(Step::Crash(place, OnItsWay::Replacement));
                }
            }
            if budget.give_backs > 0 && !agent.is_stopping {
                steps.push(Step::GiveBack(place));
            }
        }
    }
    steps.extend((0..world.late.len()).map(Step::Arrive));
    if world.operator.is_some() {
        steps.push(Step::OperatorWrites);
    } else if budget.steers > 0 && world.stood.is_some() && world.at_ms < options.last_look_ms() {
        steps.push(Step::OperatorReads);
    }
    let is_slow_enough = budget.delays > 0 && !is_calm && is_in_time(world, options);
    if world.at_ms < end_ms && (!is_pending || is_slow_enough) {
        steps.push(Step::Time);
        if budget.delays > u8::from(is_pending) && !is_calm {
            let late = |place: &usize| world.agents[*place].is_due(world.at_ms + STEP_MS);
            steps.extend((0..world.agents.len()).filter(late).map(Step::TimeWithout));
        }
    }
}

/// What can become of a question to the arbiter.
fn answers(place: usize, exchange: &Exchange, budget: Budget, is_calm: bool, steps: &mut Vec<Step>) {
    match exchange {
        Exchange::Read | Exchange::Replace(_) => {
            steps.push(Step::Serve(place, Served::Well));
            if !is_calm && budget.delays > 0 {
                steps.push(Step::Serve(place, Served::Slowly));
            }
            if !is_calm && budget.errors > 0 {
                steps.push(Step::Serve(place, Served::Failed));
            }
            if !is_calm && budget.doubts > 0 && *exchange != Exchange::Read {
                let doubts = [Served::AnswerLost, Served::GivenUp, Served::Twice, Served::Echoed];
                steps.extend(doubts.map(|served| Step::Serve(place, served)));
            }
        }
        Exchange::Answered(_) => steps.push(Step::Answer(place)),
        Exchange::Held(_) | Exchange::Dropped => {}
    }
}

/// Whether nothing goes wrong any more.
fn is_calm(world: &World, options: &Options) -> bool {
    world.at_ms + CALM_STEPS * STEP_MS > options.steps * STEP_MS
}

/// Whether a request that is on its way may wait a little longer.
fn is_in_time(world: &World, options: &Options) -> bool {
    options.applied_within_ms.is_none_or(|within_ms| {
        world.agents.iter().all(|agent| {
            !matches!(agent.exchange, Some(Exchange::Replace(_))) || world.at_ms + STEP_MS - agent.read_ms <= within_ms
        })
    })
}

impl Step {
    pub(crate) fn take(self, world: &mut World, options: &Options) {
        if let Some(place) = self.place() {
            world.agent_mut(place).is_fresh = false;
        }
        match self {
            Self::Time => time(world),
            Self::TimeWithout(place) => {
                world.budget.delays -= 1;
                let agent = world.agent_mut(place);
                agent.is_asleep = true;
                agent.refresh();
                time(world);
            }
            Self::Wake(place) => tell(world, options, place, Event::Time),
            Self::Serve(place, served) => serve(world, options, place, served),
            Self::Answer(place) => {
                if let Some(Exchange::Answered(answer)) = world.agent_mut(place).exchange.take() {
                    tell(world, options, place, answer.event());
                }
            }
            Self::Arrive(copy) => {
                let ask = world.late.remove(copy);
                replace(world, options, &ask);
            }
            Self::End(place, ended) => end(world, options, place, ended),
            Self::GiveBack(place) => {
                world.budget.give_backs -= 1;
                world.agent_mut(place).is_stopping = true;
                tell(world, options, place, Event::GiveBack);
            }
            Self::Crash(place, on_its_way) => {
                world.budget.crashes -= 1;
                if let (OnItsWay::Replacement, Some(Exchange::Replace(ask))) =
                    (on_its_way, &world.agents[place].exchange)
                {
                    let ask = Arc::clone(ask);
                    world.budget.doubts -= 1;
                    world.late.push(ask);
                }
                world.agent_mut(place).crash();
            }
            Self::Restart(place) => {
                let at_ms = world.at_ms;
                world.agent_mut(place).start(options, at_ms);
            }
            Self::OperatorReads => {
                world.budget.steers -= 1;
                world.operator.clone_from(&world.stood);
            }
            Self::OperatorWrites => operator_writes(world, options),
        }
        forget_what_is_refused(world, options);
        wake(world, options);
        if world.agents.iter().filter(|agent| agent.acts(world.at_ms)).count() > 1 {
            world.violated |= mask(options, Law::OneRun);
        }
    }
}

/// Drops the copies that an arbiter will refuse whenever they arrive.
///
/// The laws that every write is judged by let the record only move on (its fence rises, or a run of the same fence is
/// renewed for longer, or it ends), so what does not stand any more never stands again. An operator's pause and its end
/// do bring back a record, and what only overwrites refuses nothing: there all copies are kept.
fn forget_what_is_refused(world: &mut World, options: &Options) {
    if world.late.is_empty() || options.overwrites() || options.broken.is_some() || options.budget.steers > 0 {
        return;
    }
    let current = world.revision();
    world.late.retain(|ask| ask.expected == current);
}

fn time(world: &mut World) {
    if world.agents.iter().any(|agent| agent.is_pending(world.at_ms)) {
        world.budget.delays -= 1;
    }
    world.at_ms += STEP_MS;
    for place in 0..world.agents.len() {
        if let Some(Exchange::Held(answer)) = &world.agents[place].exchange {
            let answer = answer.clone();
            let agent = world.agent_mut(place);
            agent.exchange = Some(Exchange::Answered(answer));
            agent.refresh();
        }
    }
}

/// What is due is done at once: it touches nothing but the agent that does it.
pub(crate) fn wake(world: &mut World, options: &Options) {
    for place in 0..world.agents.len() {
        if world.agents[place].is_due(world.at_ms) && !world.agents[place].is_asleep {
            tell(world, options, place, Event::Time);
        }
    }
}

fn tell(world: &mut World, options: &Options, place: usize, event: Event) {
    let at_ms = world.at_ms;
    let deed = world.agent_mut(place).handle(options, at_ms, event);
    let Some(Deed::Started { fence, is_second }) = deed else { return };
    if is_second {
        world.violated |= mask(options, Law::OneRun);
    }
    if world.started >= Some(fence) {
        world.violated |= mask(options, Law::OneStart);
    }
    if world.started.is_none_or(|started| started.round != fence.round) {
        (world.starts, world.given_back) = (0, 0);
    }
    world.starts += 1;
    if world.starts > 1 {
        world.violated |= mask(options, Law::OneStartARound);
    }
    if world.starts > options.rules.attempts + world.given_back {
        world.violated |= mask(options, Law::Attempts);
    }
    (world.started, world.is_run_well) = (Some(fence), false);
}

/// Only the laws that are asked about end a path.
fn mask(options: &Options, law: Law) -> u16 {
    if options.laws.contains(&law) { law.bit() } else { 0 }
}

fn end(world: &mut World, options: &Options, place: usize, ended: Ended) {
    let Some(Run { fence, count, .. }) = world.agent_mut(place).run.take() else { return };
    let outcome = match ended {
        Ended::Well => {
            world.is_run_well |= world.started == Some(fence);
            Outcome::Ok
        }
        Ended::Failed => {
            world.budget.failures -= 1;
            if options.is_broken(Broken::Untruthful) { Outcome::Ok } else { FAILED }
        }
    };
    tell(world, options, place, Event::Ended(contender::Ended { outcome, change: Change::To(counted(count)) }));
}

fn serve(world: &mut World, options: &Options, place: usize, served: Served) {
    let Some(exchange) = world.agent_mut(place).exchange.take() else { return };
    let answer = match exchange {
        Exchange::Read if matches!(served, Served::Well | Served::Slowly) => Answer::Read(world.stood.clone()),
        Exchange::Read => {
            world.budget.errors -= 1;
            Answer::ReadFailed
        }
        Exchange::Replace(ask) => serve_replacement(world, options, &ask, served),
        other => return world.agent_mut(place).exchange = Some(other),
    };
    if answer == Answer::ReadFailed && options.is_broken(Broken::DroppedError) {
        let agent = world.agent_mut(place);
        agent.exchange = Some(Exchange::Dropped);
        agent.refresh();
    } else if served == Served::Slowly {
        let agent = world.agent_mut(place);
        agent.exchange = Some(Exchange::Held(answer));
        agent.refresh();
    } else {
        tell(world, options, place, answer.event());
    }
}
