//! `prices-python`: a figure that crosses a threshold.

use serde_json::json;
use soloist::round::Outcome;
use soloist_tests::slack::Fault;

use crate::bench::{Bench, set};
use crate::web::Web;

async fn bench(web: &Web) -> Bench {
    let settings = json!({
        "url": web.url("/rates"), "path": "$.rates[1].EUR", "name": "the euro", "channel": "#ops",
        "above": 1.2, "below": 1.0, "margin": 0.05,
    });
    Bench::new("prices-python", settings, &web.grant()).await
}

fn rate(web: &Web, rate: &str) {
    web.page("/rates", 200, &format!("{{\"rates\": [null, {{\"EUR\": {rate}}}]}}"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_price_is_told_when_it_crosses_a_threshold_and_not_before() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let mut seen = 0;
    rate(&web, "1.1");
    assert_eq!(bench.ok().await, "the euro is 1.1, between");
    assert!(bench.told(&mut seen).is_empty());

    rate(&web, "1.3");
    assert_eq!(bench.ok().await, "the euro is 1.3, above; told #ops");
    assert!(bench.told(&mut seen)[0].contains("*the euro* is 1.3, above 1.2"));
    // Within the margin it is still above, and that was told.
    rate(&web, "1.16");
    assert_eq!(bench.ok().await, "the euro is 1.16, above");
    rate(&web, "1.15");
    assert_eq!(bench.ok().await, "the euro is 1.15, between; told #ops");
    rate(&web, "\"0.9\"");
    assert_eq!(bench.ok().await, "the euro is 0.9, below; told #ops");
    assert_eq!(bench.told(&mut seen).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_crossing_that_slack_did_not_take_is_told_by_the_next_attempt() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let mut seen = 0;
    rate(&web, "2");
    bench.slack.fail_next(Fault::Error("channel_not_found"));
    bench.fails(Outcome::Error, "Slack refused the message to #ops: channel_not_found").await;
    bench.slack.fail_next(Fault::RateLimited(3000));
    bench.fails(Outcome::Retry, "Slack asks to wait").await;
    bench.elsewhere();
    assert!(bench.told(&mut seen).is_empty());
    assert_eq!(bench.ok().await, "the euro is 2, above; told #ops");
    assert_eq!(bench.told(&mut seen).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn what_is_no_price_fails_and_says_what_came_instead() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    for (status, body, reason) in [
        (503, "down", "answered with status 503"),
        (0, "", ""),
        (200, "<html>", "answered with what is no JSON"),
        (200, "{\"rates\": []}", "has no 1"),
        (200, "{\"rates\": [0, {\"EUR\": \"soon\"}]}", "is no number: soon"),
    ] {
        web.page("/rates", status, body);
        bench.fails(Outcome::Retry, reason).await;
    }
    for (key, value, reason) in [
        ("path", json!("$.rates[*]"), "the setting `path`"),
        ("url", json!("https://example.com/"), "write `http = ["),
        ("colour", json!("red"), "unknown setting `colour`"),
    ] {
        let mut bench = self::bench(&web).await;
        set(&mut bench, key, value);
        bench.fails(Outcome::Error, reason).await;
    }
}
