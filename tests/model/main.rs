//! The real contender and codec, and a model of an arbiter: every state that they can get to within bounds is searched.
//!
//! `SOLOIST_MODEL=large` searches further. Liveness is asked of the states in which time has stopped, because the
//! checker's own `eventually` sees no cycles.

mod agent;
mod laws;
mod options;
mod step;
mod world;

use std::time::Instant;

use options::{Budget, Options};
use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _, Path};
use step::Step;
use world::{Search, World};

#[expect(clippy::print_stdout, reason = "what a search found is its output")]
fn say(text: &str) {
    println!("{text}");
}

/// A path, one step a line, with what stands in the record after it.
fn story(path: Path<World, Step>) -> String {
    let mut lines = Vec::new();
    let mut step = None;
    for (world, next) in path.into_vec() {
        lines.push(format!("{:<28} {world:?}", step.map_or_else(|| "at first".to_owned(), |step| format!("{step:?}"))));
        step = next;
    }
    lines.join("\n")
}

/// What a search found: the laws that were broken, each with the shortest path to it.
fn search(options: &Options) -> Vec<(&'static str, String)> {
    let begun = Instant::now();
    let search = Search { options: options.clone() };
    let properties = search.properties();
    let checker =
        search.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let mut found = Vec::new();
    for property in &properties {
        let discovery = discoveries.remove(property.name);
        match (&property.expectation, discovery) {
            (Expectation::Sometimes, None) => found.push((property.name, "it never happens".to_owned())),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => found.push((property.name, story(path))),
        }
    }
    say(&format!(
        "{:<44} {:>9} states, {:>9} steps, depth {:>3}, {:>5.1} s, {} properties",
        options.name,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64(),
        properties.len()
    ));
    found
}

/// The searches, each with the trouble that it brings about.
fn searches() -> Vec<Options> {
    let none = Budget::default();
    let two = Options::new;
    vec![
        two("crash").with(Budget { crashes: 1, ..none }),
        two("two crashes").with(Budget { crashes: 2, ..none }),
        two("doubt").with(Budget { doubts: 1, ..none }),
        two("two doubts").with(Budget { doubts: 2, ..none }),
        two("crash and doubt").with(Budget { crashes: 1, doubts: 1, ..none }),
        two("delays").with(Budget { delays: 2, ..none }),
        two("three delays").with(Budget { delays: 3, ..none }),
        two("delays and a doubt").with(Budget { delays: 2, doubts: 1, ..none }),
        two("errors").with(Budget { errors: 2, ..none }),
        two("failures and give-back").with(Budget { failures: 1, give_backs: 1, ..none }),
        two("failures and give-back and a doubt").with(Budget { failures: 1, give_backs: 1, doubts: 1, ..none }),
        two("renewal, crash").lease(2_000, Some(1_000)).with(Budget { crashes: 1, ..none }),
        two("renewal, doubt").lease(2_000, Some(1_000)).with(Budget { doubts: 1, ..none }),
        two("renewal, delays").lease(2_000, Some(1_000)).with(Budget { delays: 2, ..none }),
        two("at most once, crash and doubt").at_most_once().with(Budget { crashes: 1, doubts: 1, ..none }),
        two("at most once, delays").at_most_once().with(Budget { delays: 2, ..none }),
        Options { has_record: false, ..two("creation, doubt") }.with(Budget { doubts: 1, ..none }),
        two("pause, crash").with(Budget { crashes: 1, steers: 2, ..none }),
        Options { is_triggering: true, ..two("trigger, crash") }.with(Budget { crashes: 1, steers: 1, ..none }),
        Options { agents: 3, steps: 5, ..two("three agents, crash") }.with(Budget { crashes: 1, ..none }),
        Options { agents: 3, steps: 5, ..two("three agents, doubt") }.with(Budget { doubts: 1, ..none }),
    ]
}

#[test]
fn every_state_keeps_every_law() {
    let only = std::env::var("SOLOIST_MODEL_ONLY").ok();
    let mut broken = Vec::new();
    for options in searches().iter().filter(|options| only.as_ref().is_none_or(|only| options.name == *only)) {
        for (law, story) in search(options) {
            broken.push(format!("{}: `{law}` does not hold:\n{story}", options.name));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
