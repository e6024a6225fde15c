//! The real contender and codec, and a model of an arbiter: every state that they can get to within bounds is searched.
//!
//! `SOLOIST_MODEL=large` searches further, `SOLOIST_MODEL="two crashes"` does one search alone. Liveness is asked of the states in which time has stopped, because the
//! checker's own `eventually` sees no cycles.

mod agent;
mod arbiter;
mod laws;
mod options;
mod searches;
mod step;
mod world;

use std::collections::BTreeMap;
use std::env;
use std::time::Instant;

use options::Options;
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

/// What a search found: what does not hold, each with a short path to it.
fn search(options: &Options) -> Vec<(&'static str, String)> {
    let begun = Instant::now();
    let search = Search { options: options.clone() };
    let properties = search.properties();
    let checker = search.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let mut found = Vec::new();
    for property in &properties {
        match (&property.expectation, discoveries.remove(property.name)) {
            (Expectation::Sometimes, None) => found.push((property.name, "it never happens".to_owned())),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => found.push((property.name, story(path))),
        }
    }
    let name = options.broken.map_or_else(|| options.name.to_owned(), |broken| format!("{broken:?}"));
    say(&format!(
        "{name:<44} {:>8} states, {:>8} steps, depth {:>2}, {:>5.1} s, {} of {} properties hold",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64(),
        properties.len() - found.len(),
        properties.len(),
    ));
    found
}

#[test]
fn every_state_keeps_every_law() {
    let asked = env::var("SOLOIST_MODEL").unwrap_or_default();
    let searches = match asked.as_str() {
        "" => searches::usual(),
        "large" => searches::large(),
        name => searches::usual().into_iter().chain(searches::large()).filter(|some| some.name == name).collect(),
    };
    assert!(!searches.is_empty(), "there is no search `{asked}`");
    let mut failures = Vec::new();
    let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
    for options in &searches {
        for law in options.laws {
            *kept.entry(law.name()).or_default() += 1;
        }
        for (law, story) in search(options) {
            failures.push(format!("{}: `{law}` does not hold:\n{story}", options.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    for (law, times) in kept {
        say(&format!("{law:<44} holds in {times} searches"));
    }
}

#[test]
fn everything_that_is_broken_is_caught_by_the_law_for_it() {
    let mut missed = Vec::new();
    for (options, law) in searches::broken() {
        let options = Options { laws: law.alone(), ..options };
        match search(&options).pop() {
            Some((law, story)) => say(&format!("  breaks `{law}` within {} steps", story.lines().count() - 1)),
            None => missed.push((options.name, options.broken, law)),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
