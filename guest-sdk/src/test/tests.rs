use std::time::Duration;

use super::*;
use crate::{clock, config, log, metric, random, secrets, state};

const URL: &str = "https://example.com/";
const ORIGIN: &str = "https://example.com";
const LEVELS: [log::Level; 5] =
    [log::Level::Trace, log::Level::Debug, log::Level::Info, log::Level::Warn, log::Level::Error];

#[test]
fn answers_come_in_turn_and_the_last_one_again() {
    let statuses = |_: Context| {
        let statuses: Result<Vec<_>, http::Error> = (0..3).map(|_| Ok(http::get(URL)?.status)).collect();
        Ok(format!("{:?}", statuses?))
    };
    let ran = Host::new().respond(URL, 503, "").respond(URL, 200, "").run(statuses);
    assert_eq!(ran.result, Ok("[503, 200, 200]".to_owned()));
    assert_eq!(ran.requests.len(), 3);
}

#[test]
fn what_a_test_has_no_answer_for_is_denied_with_what_to_add() {
    let ran = Host::new().run(|_| Ok(http::get(URL)?.text()));
    let Err(Failure::Final(reason)) = ran.result else { panic!("{:?}", ran.result) };
    assert!(reason.contains("no answer to `https://example.com/`: add `.respond(…)`"), "{reason}");
}

#[test]
fn a_call_without_a_host_says_what_to_do() {
    let panic = std::panic::catch_unwind(|| config::get("url")).expect_err("there is no host");
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.contains("`soloist_sdk::config::get`") && text.contains("test::Host::new().run(run)"), "{text}");
}

#[test]
fn a_job_that_panics_leaves_no_host_behind() {
    let panic = std::panic::catch_unwind(|| Host::new().run(|_| panic!("told to")));
    assert!(panic.is_err());
    assert_eq!(Host::new().run(|_| Ok("again".to_owned())).result, Ok("again".to_owned()));
}

#[test]
fn a_run_that_fails_leaves_the_state_as_it_was() {
    let save = |result: Result<String, Failure>| {
        move |_: Context| {
            state::save(&2)?;
            assert_eq!(state::load::<u32>()?, Some(2), "a run reads what it has set");
            result
        }
    };
    let ran = Host::new().state(1).run(save(Ok(String::new())));
    assert_eq!((ran.state_as(), ran.result.is_ok()), (Some(2), true));
    let ran = Host::new().state(1).run(save(Err(Failure::retry("no"))));
    assert_eq!(ran.state_as(), Some(1));
    let ran = Host::new().state(1).run(|_| Ok(state::clear().map(|()| String::new())?));
    assert_eq!(ran.state, None);
}

#[test]
fn a_state_is_as_small_as_the_hosts() {
    let save = |length: usize| Host::new().call(move |_| state::set(&"a".repeat(length))).0;
    assert_eq!(save(398), Ok(()));
    assert_eq!(save(399), Err(state::Error::TooLarge(401)));
}

#[test]
fn settings_are_typed_or_texts() {
    let host = Host::new().config("limit", 3).config("names", ["a", "b"]).config("url", URL);
    let (texts, _) = host.call(|_| ["limit", "names", "url", "none"].map(config::get));
    assert_eq!(texts, [Some("3".to_owned()), Some("[\"a\",\"b\"]".to_owned()), Some(URL.to_owned()), None]);
}

#[test]
fn messages_are_replied_to_and_replaced_with_a_bot_token_only() {
    let talk = |_: Context| -> Result<String, Failure> {
        let Some(posted) = slack::post("#ops", "down")? else { return Ok("a webhook".to_owned()) };
        slack::Message::new("#ops", "why").reply_to(&posted).post()?;
        slack::Message::new("#ops", "up").blocks(&[1]).update(&posted)?;
        Ok(posted.ts)
    };
    let ran = Host::new().run(talk);
    let ts = ran.result.expect("it is posted");
    assert_eq!(ran.posts[1].thread.as_deref(), Some(&*ts));
    assert_eq!(ran.posts[2].updates.as_ref().map(|posted| &posted.ts), Some(&ts));
    assert_eq!(ran.posts[2].blocks, Some(serde_json::json!([1])));
    assert_eq!(Host::new().webhook().run(talk).result, Ok("a webhook".to_owned()));
    let posted = slack::Posted { channel: "C0000000001".to_owned(), ts };
    let (refused, ran) = Host::new().webhook().call(|_| {
        let message = slack::Message::new("#ops", "why");
        [message.clone().reply_to(&posted).post().map(drop), message.update(&posted).map(drop)]
    });
    assert!(refused.iter().all(|refused| matches!(refused, Err(slack::Error::Invalid(_)))), "{refused:?}");
    assert!(ran.posts.is_empty());
    let refused = Host::new().refuse_post("#ops", slack::Error::RateLimited(60)).run(talk);
    assert_eq!((refused.result, refused.posts.len()), (Err(Failure::retry("Slack asks to wait 60 s")), 0));
}

#[test]
fn each_server_answers_for_itself() {
    let host = Host::new().records("Example.com.", "a", 60, ["192.0.2.1"]).records_at(
        "ns2",
        "example.com",
        "A",
        Err(dns::Error::Timeout),
    );
    let (replies, _) = host.call(|_| dns::Question::new("example.com", "A").servers(["ns1", "ns2"]).ask());
    assert_eq!(replies[0].answer.as_ref().map(|answer| answer.data("A").collect::<Vec<_>>()), Ok(vec!["192.0.2.1"]));
    assert_eq!(replies[1].answer, Err(dns::Error::Timeout));
    let (none, _) = Host::new().records("example.com", "A", 60, [""; 0]).call(|_| dns::lookup("example.com", "A"));
    assert_eq!(none.map(|answer| answer.rcode), Ok("NXDOMAIN".to_owned()));
}

#[test]
fn certificates_are_shown_of_the_origins_that_have_some() {
    let host = Host::new().certificates(ORIGIN, [vec![1], vec![2]]);
    let (shown, _) = host.call(|_| [ORIGIN, "https://other.example"].map(|origin| http::certificates(origin, None)));
    assert_eq!(shown[0], Ok(vec![vec![1], vec![2]]));
    assert!(matches!(&shown[1], Err(http::Error::Denied(reason)) if reason.contains("`.certificates(…)`")));
}

#[test]
fn a_run_is_what_the_test_says_of_it() {
    let host = Host::new().previous("timeout").context(|context| context.deadline_ms = context.due_ms + 5000);
    let (left, _) = host.call(|context| {
        assert_eq!(context.previous.as_deref(), Some("timeout"));
        clock::time_left()
    });
    assert_eq!(left, Duration::from_secs(5));
}

#[test]
fn a_request_is_told_whole_and_lines_with_their_levels() {
    let ran = Host::new().respond(URL, 200, "").run(|_| {
        let request = http::Request::post(URL).header("x-a", "1").body("ping").timeout(Duration::from_secs(3));
        request.send()?;
        for level in LEVELS {
            log::write(level, "line");
        }
        Ok(String::new())
    });
    let [request] = &ran.requests[..] else { panic!("{:?}", ran.requests) };
    assert_eq!((&*request.method, request.header("X-A"), &*request.body), ("POST", Some("1"), &b"ping"[..]));
    assert_eq!(request.timeout, Some(Duration::from_secs(3)));
    assert_eq!(ran.logs, LEVELS.map(|level| (level, "line".to_owned())));
}

#[test]
fn changes_and_figures_are_told() {
    let ran = Host::new().refuse_change(dns_update::Error::Unavailable("no answer".to_owned())).run(|_| {
        let change =
            dns_update::Change::new().set("www.example.com", "A", 60, ["192.0.2.7"]).delete("www.example.com", "AAAA");
        assert!(change.clone().apply().is_err_and(|error| error.is_retryable()));
        change.apply()?;
        metric::counter("errors").label("kind", "dns").add(1.0)?;
        assert!(metric::counter("errors").add(-1.0).is_err());
        assert!(metric::gauge("queue_length").set(f64::NAN).is_err());
        metric::gauge("queue_length").set(17.0)?;
        Ok(String::new())
    });
    assert_eq!(ran.result, Ok(String::new()));
    assert_eq!(ran.changes.len(), 1);
    assert_eq!(ran.changes[0][0].data, ["192.0.2.7"]);
    assert!(ran.changes[0][1].data.is_empty());
    assert_eq!(ran.figures[1], Figure::Gauge { name: "queue_length".to_owned(), value: 17.0, labels: Vec::new() });
}

#[test]
fn time_passes_where_the_job_sleeps_and_no_test_waits() {
    let ran = Host::new().run(|context| {
        assert_eq!(clock::now(), context.due());
        clock::sleep(Duration::from_secs(10));
        assert_eq!(clock::time_left(), Duration::from_secs(20));
        clock::sleep(Duration::from_secs(3600));
        assert_eq!(clock::time_left(), Duration::ZERO);
        log::info!("slept");
        Ok(String::new())
    });
    assert_eq!(ran.slept, Duration::from_secs(30));
}

#[test]
fn random_numbers_are_the_same_in_every_run_and_within_their_bound() {
    let draw = || Host::new().call(|_| (random::bytes(70_000).len(), [(); 100].map(|()| random::below(6)))).0;
    let (length, numbers) = draw();
    assert_eq!((length, numbers), draw());
    assert_eq!(length, 70_000);
    assert!((0..6).all(|number| numbers.contains(&number)) && numbers.iter().all(|&number| number < 6));
}

#[test]
fn a_secret_is_a_placeholder_and_one_that_is_not_granted_is_denied() {
    let (secrets, _) = Host::new().secret("token").call(|_| (secrets::get("token"), secrets::get("other")));
    assert_eq!(secrets.0.as_deref(), Ok("soloist-secret-token"));
    assert!(secrets.1.is_err_and(|error| error.to_string().contains("`.secret(…)`")));
}
