//! The state that is searched through: agents, the arbiter's RRset, copies of requests on their way, and the time.

use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use soloist::round::{Fence, Record, Revision};
use stateright::{Model, Property};

use crate::agent::{Agent, Ask, Stood};
use crate::laws;
use crate::options::{Budget, Options};
use crate::step::{self, Step};

/// All that an arbiter and its agents can get to by some options.
pub(crate) struct Search {
    pub(crate) options: Options,
}

/// One state of it all.
#[derive(Clone)]
pub(crate) struct World {
    /// True time, in milliseconds since the beginning.
    pub(crate) at_ms: u64,
    pub(crate) stood: Option<Arc<Stood>>,
    pub(crate) agents: Vec<Arc<Agent>>,
    /// Replacements that their clients gave up or sent twice: each may arrive at any time, or never.
    pub(crate) late: Vec<Arc<Ask>>,
    /// What an operator has read and is about to write over.
    pub(crate) operator: Option<Arc<Stood>>,
    pub(crate) budget: Budget,
    /// The last fence that was started.
    pub(crate) started: Option<Fence>,
    /// Whether its run did well.
    pub(crate) is_run_well: bool,
    /// How often its round was started.
    pub(crate) starts: u32,
    /// How often its round was given back.
    pub(crate) given_back: u32,
    /// The laws that were broken on the way.
    pub(crate) violated: u16,
}

impl World {
    pub(crate) fn record(&self) -> Option<&Record> {
        self.stood.as_ref()?.record.as_ref()
    }

    pub(crate) fn revision(&self) -> Revision {
        self.stood.as_ref().map_or(Revision::Absent, |stood| stood.revision())
    }

    pub(crate) fn agent_mut(&mut self, place: usize) -> &mut Agent {
        Arc::make_mut(&mut self.agents[place])
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.at_ms, &self.stood, &self.late, &self.operator, self.budget).hash(state);
        (self.started, self.is_run_well, self.starts, self.given_back, self.violated).hash(state);
        for agent in &self.agents {
            state.write_u64(agent.digest);
        }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let digests = |world: &Self| world.agents.iter().map(|agent| agent.digest).collect::<Vec<_>>();
        (self.at_ms, &self.stood, &self.late, self.budget) == (other.at_ms, &other.stood, &other.late, other.budget)
            && (&self.operator, &self.started, self.violated) == (&other.operator, &other.started, other.violated)
            && digests(self) == digests(other)
    }
}

impl Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.stood.as_ref().map_or(&b"none"[..], |stood| &stood.value);
        write!(f, "{:>2} s  {}", self.at_ms / 1000, String::from_utf8_lossy(value))?;
        for agent in self.agents.iter().filter(|agent| agent.acts(self.at_ms)) {
            write!(f, "  {} runs", agent.id())?;
        }
        Ok(())
    }
}

impl Model for Search {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            at_ms: 0,
            stood: self.options.first_record().map(|record| Arc::new(Stood::new(record.encode()))),
            agents: (0..self.options.agents).map(|place| Arc::new(Agent::new(place))).collect(),
            late: Vec::new(),
            operator: None,
            budget: self.options.budget,
            started: None,
            is_run_well: false,
            starts: 0,
            given_back: 0,
            violated: 0,
        };
        for place in 0..self.options.agents {
            world.agent_mut(place).start(&self.options, 0);
        }
        step::wake(&mut world, &self.options);
        vec![world]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        step::possible(world, &self.options, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        step.take(&mut next, &self.options);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties: Vec<_> = self.options.laws.iter().map(|law| law.property()).collect();
        // Where one law alone is asked about, it is to be broken.
        if self.options.laws.len() > 1 {
            properties.extend(laws::sights(&self.options));
        }
        properties
    }
}
