//! Messages to Slack, against a server that checks and refuses as the real one does.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use soloist::capability::slack::{Error, Grant, INTERVAL, MAX_POSTS, Message, Posted, Poster};
use soloist::capability::{Services, ServicesConfig};
use soloist::runtime::{Facts, Lease, Request};
use soloist_tests::guest;
use soloist_tests::slack::{Fault, Slack};

/// Every channel that the server has.
const CHANNELS: [&str; 5] = ["#ops", "#status", "#alerts", "#elsewhere", "#old"];

fn poster_of(config: &str, folder: &Path, grant: &[&str], request: &Request) -> Poster {
    let config: ServicesConfig = toml::from_str(config).expect("a configuration");
    let services = Services::new(&config, folder).expect("services");
    Poster::new(Grant::of(grant.iter().copied()).expect("channels"), services, Arc::new(Facts::new(request)))
}

/// A poster by token, with half a minute.
fn by_token(slack: &Slack) -> Poster {
    let folder = tempfile::tempdir().expect("a folder");
    poster_of(&slack.by_token(folder.path()), folder.path(), &CHANNELS, &long())
}

/// A poster by webhooks alone.
fn by_webhook(slack: &Slack) -> Poster {
    let folder = tempfile::tempdir().expect("a folder");
    poster_of(&slack.by_webhook(folder.path(), &CHANNELS), folder.path(), &CHANNELS, &long())
}

fn long() -> Request {
    Request { deadline: Duration::from_secs(60), ..guest::request() }
}

fn message(channel: &str) -> Message {
    Message { channel: channel.to_owned(), text: "it is down".to_owned(), blocks: None, thread: None }
}

fn rejected<T>(code: &str) -> Result<T, Error> {
    Err(Error::Rejected(code.to_owned()))
}

#[tokio::test]
async fn a_token_posts_to_the_channel_and_tells_where_it_stands() {
    let slack = Slack::start().await;
    let blocks = Some(r#"[{"type": "divider"}]"#.to_owned());
    let posted = by_token(&slack).post(Message { blocks, ..message("#ops") }).await.unwrap().unwrap();
    let [there] = &slack.messages()[..] else { panic!("{:?}", slack.messages()) };
    assert_eq!((&there.ts, &there.channel, &*there.channel_name), (&posted.ts, &posted.channel, "#ops"));
    assert_eq!((&*there.text, &there.blocks), ("it is down", &Some(json!([{"type": "divider"}]))));
    let payload = &there.metadata.as_ref().unwrap()["event_payload"];
    assert_eq!(*payload, json!({"job": "canary", "agent": "agent-1", "round": 1000, "attempt": 1, "number": 1}));
}

#[tokio::test]
async fn a_webhook_posts_to_its_channel_and_tells_nothing() {
    let slack = Slack::start().await;
    assert_eq!(by_webhook(&slack).post(message("#status")).await, Ok(None));
    assert_eq!(slack.texts("#status"), ["it is down"]);
    assert_eq!(slack.requests()[0].body, json!({"text": "it is down"}));
}

#[tokio::test]
async fn a_channel_without_a_grant_or_credentials_is_denied() {
    let slack = Slack::start().await;
    let poster = by_token(&slack);
    for channel in ["#dev", "ops", "#OPS"] {
        let error = poster.post(message(channel)).await.unwrap_err();
        assert!(matches!(&error, Error::Denied(reason) if reason.contains("under `[job.canary.grants]`")), "{error:?}");
    }
    let services = Services::new(&ServicesConfig::default(), Path::new("")).expect("services");
    let grant = Grant::of(CHANNELS).expect("channels");
    let without = Poster::new(grant, services.clone(), Arc::new(Facts::new(&long())));
    let error = without.post(message("#ops")).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("`[slack]`")), "{error:?}");
    assert_eq!(services.denied("canary", "slack"), 1);
    assert!(slack.requests().is_empty());
}

#[tokio::test]
async fn a_reply_stands_in_its_thread_and_an_update_replaces_its_message() {
    let slack = Slack::start().await;
    let poster = by_token(&slack);
    let first = poster.post(message("#ops")).await.unwrap().unwrap();
    let reply = Message { thread: Some(first.ts.clone()), text: "still".to_owned(), ..message("#ops") };
    poster.post(reply).await.unwrap().unwrap();
    let better = Message { text: "it is up".to_owned(), ..message("#ops") };
    assert_eq!(poster.update(first.clone(), better).await, Ok(first.clone()));
    let [top, reply] = &slack.messages()[..] else { panic!("{:?}", slack.messages()) };
    assert_eq!((&*top.text, top.edited), ("it is up", true));
    assert_eq!((&*reply.text, reply.thread_ts.as_ref()), ("still", Some(&first.ts)));

    let nowhere = Message { thread: Some("1.000000".to_owned()), ..message("#ops") };
    assert_eq!(poster.post(nowhere).await, rejected("thread_not_found"));
    let gone = Posted { ts: "1.000000".to_owned(), ..first };
    assert_eq!(poster.update(gone, message("#ops")).await, rejected("message_not_found"));
}

#[tokio::test]
async fn an_update_reaches_no_channel_but_the_granted_one() {
    let slack = Slack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = slack.by_token(folder.path());
    let elsewhere = by_token(&slack).post(message("#status")).await.unwrap().unwrap();
    let poster = poster_of(&config, folder.path(), &["#ops"], &long());
    let error = poster.update(elsewhere.clone(), message("#ops")).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("is not `#ops`")), "{error:?}");
    let error = poster.update(elsewhere.clone(), message("#status")).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("under `[job.canary.grants]`")), "{error:?}");
    // A process that has not posted there yet looks the id up, and needs a scope for it.
    let ops = by_token(&slack).post(message("#ops")).await.unwrap().unwrap();
    let fresh = || poster_of(&config, folder.path(), &["#ops"], &long());
    assert!(fresh().update(ops.clone(), message("#ops")).await.is_ok());
    slack.set_scopes(&["chat:write"]);
    let error = fresh().update(ops.clone(), message("#ops")).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("channels:read")), "{error:?}");
    let by_id = poster_of(&config, folder.path(), &[&ops.channel], &long());
    assert!(by_id.update(ops.clone(), message(&ops.channel)).await.is_ok());
    assert!(slack.messages().iter().all(|message| message.edited == (message.channel_name == "#ops")));
}

#[tokio::test]
async fn slacks_refusals_are_given_as_their_codes() {
    let slack = Slack::start().await;
    let (token, hook) = (by_token(&slack), by_webhook(&slack));
    assert_eq!(token.post(message("#elsewhere")).await, rejected("not_in_channel"));
    assert_eq!(token.post(message("#old")).await, rejected("is_archived"));
    assert_eq!(hook.post(message("#old")).await, rejected("channel_is_archived"));
    let blocks = || Some(r#"[{"type": "marquee"}]"#.to_owned());
    assert_eq!(token.post(Message { blocks: blocks(), ..message("#ops") }).await, rejected("invalid_blocks"));
    assert_eq!(hook.post(Message { blocks: blocks(), ..message("#ops") }).await, rejected("invalid_blocks"));
    slack.set_scopes(&[]);
    assert_eq!(token.post(message("#status")).await, rejected("missing_scope"));
    let folder = tempfile::tempdir().unwrap();
    let config = slack.by_token(folder.path());
    std::fs::write(folder.path().join("slack.token"), "xoxb-old").unwrap();
    let stranger = poster_of(&config, folder.path(), &CHANNELS, &long());
    assert_eq!(stranger.post(message("#alerts")).await, rejected("invalid_auth"));
    assert!(slack.messages().is_empty());
}

#[tokio::test]
async fn a_webhook_has_no_threads_and_no_updates() {
    let slack = Slack::start().await;
    let sender = by_webhook(&slack);
    let reply = Message { thread: Some("1.2".to_owned()), ..message("#ops") };
    assert!(matches!(sender.post(reply).await, Err(Error::Invalid(_))));
    let posted = Posted { channel: "C0000000001".to_owned(), ts: "1.2".to_owned() };
    assert!(matches!(sender.update(posted, message("#ops")).await, Err(Error::Invalid(_))));
    assert!(slack.requests().is_empty());
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_long_one_reported() {
    let slack = Slack::start().await;
    let poster = by_token(&slack);
    slack.fail_next(Fault::RateLimited(1));
    assert!(poster.post(message("#ops")).await.is_ok());
    slack.fail_next(Fault::RateLimited(3600));
    assert_eq!(poster.post(message("#status")).await, Err(Error::RateLimited(3600)));
    // Slack's word is kept for the channel's next message, too.
    let asked = slack.requests().len();
    assert!(matches!(poster.post(message("#status")).await, Err(Error::RateLimited(3590..=3600))));
    assert_eq!(slack.requests().len(), asked);
    for _ in 0..3 {
        slack.fail_next(Fault::RateLimited(0));
    }
    assert_eq!(poster.post(message("#alerts")).await, Err(Error::RateLimited(0)), "three tries, and no more");
    assert_eq!(slack.messages().len(), 1);
    // A webhook says it by its status alone.
    slack.fail_next(Fault::RateLimited(3600));
    assert_eq!(by_webhook(&slack).post(message("#ops")).await, Err(Error::RateLimited(3600)));
}

#[tokio::test]
async fn a_channel_is_posted_to_once_a_second() {
    let slack = Slack::start().await;
    let poster = by_webhook(&slack);
    let begun = Instant::now();
    for _ in 0..3 {
        poster.post(message("#ops")).await.unwrap();
    }
    assert!(begun.elapsed() >= 2 * INTERVAL, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_found_and_not_sent_again() {
    let slack = Slack::start().await;
    let sender = by_token(&slack);
    slack.fail_next(Fault::LostAnswer);
    let posted = sender.post(message("#ops")).await.unwrap().unwrap();
    assert_eq!(slack.messages().iter().map(|there| &there.ts).collect::<Vec<_>>(), [&posted.ts]);
    // In a thread, and where it arrives only after its connection broke.
    slack.fail_next(Fault::Late(Duration::from_millis(500)));
    let reply = sender.post(Message { thread: Some(posted.ts.clone()), ..message("#ops") }).await.unwrap().unwrap();
    assert_eq!(slack.messages().last().map(|there| &there.ts), Some(&reply.ts));
    assert_eq!(slack.messages().len(), 2);
    // A server error says as little as a lost answer; what is no longer there was never posted, for all that is known.
    slack.fail_next(Fault::Status(500));
    assert!(matches!(sender.post(message("#status")).await, Err(Error::Unavailable(_))));
    assert_eq!(slack.messages().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_not_sent_again() {
    let slack = Slack::start().await;
    slack.set_scopes(&["chat:write"]);
    let poster = by_token(&slack);
    slack.fail_next(Fault::LostAnswer);
    let error = poster.post(message("#ops")).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(reason) if reason.contains("missing_scope")), "{error:?}");
    slack.fail_next(Fault::LostAnswer);
    assert!(matches!(by_webhook(&slack).post(message("#status")).await, Err(Error::Unavailable(_))));
    assert_eq!((slack.texts("#ops").len(), slack.texts("#status").len()), (1, 1));
}

#[tokio::test]
async fn a_message_whose_answer_never_comes_or_never_ends_is_not_sent_again() {
    let slack = Slack::start().await;
    let poster = by_webhook(&slack);
    for (fault, channel) in [(Fault::Silence, "#ops"), (Fault::Flood, "#status"), (Fault::Status(500), "#alerts")] {
        slack.fail_next(fault.clone());
        let error = poster.post(message(channel)).await.unwrap_err();
        let is_open = matches!(&error, Error::Unavailable(reason) if reason.contains("may have been posted"));
        assert!(is_open, "{fault:?}: {error:?}");
    }
    assert_eq!((slack.texts("#ops").len(), slack.texts("#status").len(), slack.texts("#alerts").len()), (1, 1, 0));
}

#[tokio::test]
async fn the_same_message_again_is_looked_for_first() {
    let slack = Slack::start().await;
    let poster = by_token(&slack);
    slack.fail_next(Fault::Late(Duration::from_secs(8)));
    assert!(matches!(poster.post(message("#ops")).await, Err(Error::Unavailable(_))));
    let arrived = Instant::now() + Duration::from_secs(30);
    while slack.messages().is_empty() && Instant::now() < arrived {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = poster.post(message("#ops")).await.unwrap().unwrap();
    assert_eq!(slack.messages().iter().map(|there| &there.ts).collect::<Vec<_>>(), [&found.ts]);
    let other = Message { text: "another".to_owned(), ..message("#ops") };
    poster.post(other).await.unwrap();
    assert_eq!(slack.texts("#ops"), ["it is down", "another"]);
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_sent_again() {
    let slack = Slack::start().await;
    let sender = by_token(&slack);
    let posted = sender.post(message("#ops")).await.unwrap().unwrap();
    slack.fail_next(Fault::LostRequest);
    let better = Message { text: "it is up".to_owned(), ..message("#ops") };
    assert_eq!(sender.update(posted.clone(), better).await, Ok(posted));
    assert_eq!(slack.texts("#ops"), ["it is up"]);
}

#[tokio::test]
async fn nothing_is_posted_without_a_lease_even_after_a_wait() {
    let slack = Slack::start().await;
    let lease = Lease::unlimited();
    let folder = tempfile::tempdir().unwrap();
    let request = Request { lease: lease.clone(), ..long() };
    let poster = poster_of(&slack.by_token(folder.path()), folder.path(), &CHANNELS, &request);
    slack.fail_next(Fault::RateLimited(5));
    let posting = tokio::spawn(async move { poster.post(message("#ops")).await });
    while slack.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lease.revoke();
    assert!(matches!(posting.await.unwrap(), Err(Error::Lost(_))));
    assert!(slack.messages().is_empty());
}

#[tokio::test]
async fn no_error_holds_a_secret() {
    let slack = Slack::start().await;
    let posters = [by_token(&slack), by_webhook(&slack)];
    // Nobody listens there any more.
    slack.stop().await;
    for poster in posters {
        assert!(!format!("{poster:?}").contains("geheim"));
        let error = poster.post(message("#ops")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("geheim") && !text.contains("/services"), "{text}");
    }
}

#[tokio::test]
async fn messages_are_bounded_in_number() {
    let slack = Slack::start().await;
    let names: Vec<String> = (0..=MAX_POSTS).map(|number| format!("#many-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        slack.add_channel(name);
    }
    let folder = tempfile::tempdir().unwrap();
    let poster = poster_of(&slack.by_token(folder.path()), folder.path(), &names, &long());
    let (mut posted, mut last) = (None, names[0]);
    // An update is one of them.
    for name in &names[2..] {
        (posted, last) = (poster.post(message(name)).await.unwrap(), name);
    }
    let posted = posted.unwrap();
    assert!(poster.update(posted.clone(), message(last)).await.is_ok());
    let spent = |result: Result<_, Error>| {
        assert!(matches!(&result, Err(Error::Invalid(reason)) if reason.contains("has posted its 50")), "{result:?}");
    };
    spent(poster.post(message(names[0])).await.map(drop));
    spent(poster.update(posted, message(last)).await.map(drop));
    assert_eq!(slack.messages().len(), MAX_POSTS as usize - 1);
}
