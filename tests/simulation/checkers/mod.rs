//! What must hold in every simulation: one file a property.

mod at_most_once;
mod calm;
mod control_kept;
mod no_drift;
mod no_overlap;
mod no_round_lost;
mod no_round_waits;
mod nothing_abandoned;
mod one_exchange;
mod one_start_a_fence;
mod over_is_over;
mod passed_over;
mod progress;
mod record_forward;
mod rising_fences;
mod same_module;
mod state_kept;
mod time_to_run;
mod unique_writes;

pub(crate) use state_kept::number;

use crate::history::Happening;
use crate::options::Options;

/// A property that is checked while it happens.
pub(crate) trait Checker {
    /// Its name, as a violation is reported.
    fn name(&self) -> &'static str;

    /// Takes in what happened at `at`, in milliseconds of true time; an error says how it violates the property.
    fn see(&mut self, at: u64, happening: &Happening) -> Result<(), String>;

    /// Whether it has seen enough of the good times after the faults.
    fn is_content(&self) -> bool {
        true
    }

    /// The end of the simulation.
    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// All of them.
pub(crate) fn all(options: &Options) -> Vec<Box<dyn Checker>> {
    vec![
        Box::<one_exchange::OneExchange>::default(),
        Box::<record_forward::RecordForward>::default(),
        Box::<rising_fences::RisingFences>::default(),
        Box::<unique_writes::UniqueWrites>::default(),
        Box::<one_start_a_fence::OneStartAFence>::default(),
        Box::new(no_overlap::NoOverlap::new(options)),
        Box::new(no_round_lost::NoRoundLost::new(options)),
        Box::new(no_round_waits::NoRoundWaits::new(options)),
        Box::<over_is_over::OverIsOver>::default(),
        Box::new(passed_over::PassedOver::new(options)),
        Box::new(at_most_once::AtMostOnce::new(options)),
        Box::new(no_drift::NoDrift::new(options)),
        Box::<control_kept::ControlKept>::default(),
        Box::<state_kept::StateKept>::default(),
        Box::new(same_module::SameModule::new(options)),
        Box::new(time_to_run::TimeToRun::new(options)),
        Box::new(nothing_abandoned::NothingAbandoned::new(options)),
        Box::new(progress::Progress::new(options)),
        Box::<calm::Calm>::default(),
    ]
}
