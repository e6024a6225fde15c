//! The arbiter: one RRset, its conditional replacement, and what an operator writes there.

use std::mem;
use std::sync::Arc;

use soloist::round::contender::Now;
use soloist::round::contender::steer::Steer;
use soloist::round::{Record, State};

use crate::agent::{Answer, Ask, Stood};
use crate::laws::{self, Law};
use crate::options::{Broken, EPOCH, Options};
use crate::step::Served;
use crate::world::World;

/// Serves a replacement that was asked for, well or not, and gives what its agent hears.
pub(crate) fn serve_replacement(world: &mut World, options: &Options, ask: &Arc<Ask>, served: Served) -> Answer {
    match served {
        Served::Well | Served::Slowly => {}
        Served::Failed => world.budget.errors -= 1,
        _ => world.budget.doubts -= 1,
    }
    let unknown = if options.is_broken(Broken::UnknownIsWon) {
        Answer::Applied(ask.value.as_slice().into())
    } else {
        Answer::Unknown
    };
    match served {
        Served::Well | Served::Slowly => replace(world, options, ask),
        Served::Failed => Answer::WriteFailed,
        Served::AnswerLost => {
            replace(world, options, ask);
            unknown
        }
        Served::GivenUp => {
            world.late.push(Arc::clone(ask));
            unknown
        }
        Served::Twice => {
            let answer = replace(world, options, ask);
            world.late.push(Arc::clone(ask));
            answer
        }
        Served::Echoed => {
            replace(world, options, ask);
            replace(world, options, ask)
        }
    }
}

/// The arbiter: writes on condition, and tells.
pub(crate) fn replace(world: &mut World, options: &Options, ask: &Ask) -> Answer {
    let current = world.revision();
    let is_end = ask.record.state == State::Idle;
    let is_met = ask.expected == current
        || options.overwrites()
        || match options.broken {
            Some(Broken::UnconditionalWrite | Broken::RefusedIsRepeated) => true,
            Some(Broken::UnconditionalEnd) => is_end,
            _ => false,
        };
    if !is_met {
        return Answer::Conflict;
    }
    if options.is_broken(Broken::Forgetful) && !is_end {
        return Answer::Applied(ask.value.as_slice().into());
    }
    let mut value = ask.value.clone();
    if options.is_broken(Broken::TornWrite) {
        value.truncate(value.len() / 2);
    }
    let stood = Stood::new(value);
    match &stood.record {
        None => world.violated |= Law::Readable.bit(),
        Some(record) => {
            let violated = laws::judge(world.record(), record, world, &options.rules);
            world.violated |= options.laws.iter().fold(0, |all, law| all | law.bit()) & violated;
            if record.state == State::Free
                && record.fence.map(|fence| fence.round) == world.started.map(|fence| fence.round)
            {
                world.given_back += 1;
            }
        }
    }
    world.stood = Some(Arc::new(stood));
    Answer::Applied(ask.value.as_slice().into())
}

/// One conditional replacement, as the commands of an operator make it; refused, it comes to nothing.
pub(crate) fn operator_writes(world: &mut World, options: &Options) {
    let Some(seen) = mem::take(&mut world.operator) else { return };
    if world.at_ms >= options.last_look_ms() {
        return;
    }
    let is_same = world.stood.as_ref().is_some_and(|stood| stood.value == seen.value);
    let Some(record) = seen.record.as_ref().filter(|_| is_same) else { return };
    let now = Now { wall_ms: EPOCH * 1000 + world.at_ms, mono_ms: world.at_ms };
    let steer = match &record.paused {
        _ if options.is_triggering => Steer::Trigger,
        None => Steer::Pause { reason: "p".to_owned() },
        Some(_) => Steer::Resume,
    };
    if let Ok(new) = steer.apply(record, &options.rules, now) {
        world.stood = Some(Arc::new(Stood::new(Record::encode(&new))));
    }
}
