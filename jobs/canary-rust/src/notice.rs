//! Whether the state changed, and how Slack is told.

use crate::check::State;

/// What to tell Slack, if there is a change to tell.
///
/// `previous` is how the previous run ended. After `ok` the state was good, after `error` bad, and that was told. After
/// anything else (`retry`: Slack could not be told; `timeout`, `lost`, …) nobody knows: better told twice than never.
pub(crate) fn notice(previous: Option<&str>, state: &State, job: &str, url: &str) -> Option<String> {
    let job = escape(job);
    let url = escape(url);
    match (state, previous) {
        (State::Bad(_), Some("error")) | (State::Good(_), Some("ok") | None) => None,
        (State::Bad(seen), _) => Some(format!(":red_circle: *{job}* is bad: {}\n{url}", escape(seen))),
        (State::Good(seen), Some("error")) => {
            Some(format!(":large_green_circle: *{job}* is back to good: {}\n{url}", escape(seen)))
        }
        (State::Good(seen), Some(other)) => Some(format!(
            ":large_green_circle: *{job}* is good: {} (the run before ended with `{}`)\n{url}",
            escape(seen),
            escape(other)
        )),
    }
}

/// Escapes what Slack takes for markup (`<!channel>`): what was seen came from outside.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(previous: Option<&str>, state: &State) -> Option<String> {
        notice(previous, state, "canary", "https://api.example.com/health")
    }

    fn good() -> State {
        State::Good("status 200 in 30 ms".to_owned())
    }

    fn bad() -> State {
        State::Bad("status 503, and 200 is good".to_owned())
    }

    #[test]
    fn a_change_is_told() {
        let text = told(Some("ok"), &bad()).unwrap();
        assert!(text.contains("*canary* is bad: status 503"), "{text}");
        let text = told(Some("error"), &good()).unwrap();
        assert!(text.contains("*canary* is back to good"), "{text}");
    }

    #[test]
    fn no_change_is_not_told() {
        assert_eq!(told(Some("ok"), &good()), None);
        assert_eq!(told(Some("error"), &bad()), None);
    }

    #[test]
    fn the_first_run_tells_a_bad_state_only() {
        assert_eq!(told(None, &good()), None);
        assert!(told(None, &bad()).is_some());
    }

    #[test]
    fn after_a_run_that_could_not_tell_either_state_is_told() {
        for previous in ["retry", "timeout", "lost"] {
            assert!(told(Some(previous), &good()).unwrap().contains(previous));
            assert!(told(Some(previous), &bad()).is_some());
        }
    }

    #[test]
    fn what_was_seen_cannot_call_the_whole_channel() {
        let text = told(None, &State::Bad("the field is <!channel> & more".to_owned())).unwrap();
        assert!(text.contains("&lt;!channel&gt; &amp; more"), "{text}");
    }
}
