//! `soloist:job/metric`: counters and gauges of a job, which the agent exports beside its own. Every job has it.

mod figures;

pub use figures::{Error, Figures, MAX_LABEL_VALUE, MAX_LABELS, MAX_NAME, MAX_SERIES};

use wasmtime::component::{HasSelf, Linker};

use super::{Capability, Granted};
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world metric { import soloist:job/metric@0.1.0; }",
        path: "../wit",
        imports: { default: trappable },
    });
}

use bindings::soloist::job::metric as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "metric",
    interfaces: &["soloist:job/metric@0.1.0"],
    grant: None,
    granted: |_| true,
    link: add_to_linker,
    enter,
};

fn enter(granted: &Granted, state: &mut State) {
    state.extensions.insert(granted.services.figures().clone());
}

impl wit::Host for State {
    fn count(
        &mut self,
        name: String,
        by: f64,
        labels: Vec<(String, String)>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        self.facts().check()?;
        let job = self.facts().job.clone();
        Ok(self.extensions.get::<Figures>()?.count(&job, &name, by, labels).map_err(wit::Error::from))
    }

    fn gauge(
        &mut self,
        name: String,
        value: f64,
        labels: Vec<(String, String)>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        self.facts().check()?;
        let job = self.facts().job.clone();
        Ok(self.extensions.get::<Figures>()?.gauge(&job, &name, value, labels).map_err(wit::Error::from))
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::Refused(reason) => Self::Refused(reason),
        }
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
