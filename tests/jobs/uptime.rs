//! `uptime-typescript`: looks that are counted, and a summary in blocks.

use serde_json::json;
use soloist::round::Outcome;
use soloist_tests::slack::Fault;

use crate::bench::{Bench, set};
use crate::web::Web;

const DAY_MS: u64 = 86_400_000;

async fn bench(web: &Web) -> Bench {
    let settings = json!({
        "channel": "#ops", "title": "Uptime of the day",
        "services": {"api": web.url("/api"), "www": web.url("/www")},
    });
    let mut bench = Bench::new("uptime-typescript", settings, &web.grant()).await;
    bench.due_ms = 20_000 * DAY_MS;
    bench
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_day_of_looks_is_summed_up_in_blocks() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let mut seen = 0;
    web.page("/api", 200, "up");
    web.page("/www", 200, "up");
    assert_eq!(bench.ok().await, "all 2 up");
    bench.due_ms += 60_000;
    web.page("/www", 503, "down");
    assert_eq!(bench.ok().await, "down: www");
    bench.due_ms += 60_000;
    web.page("/www", 0, "");
    assert_eq!(bench.ok().await, "down: www");
    assert!(bench.told(&mut seen).is_empty());

    // The next day, Slack fails first: the figures stay, and the attempt after it tells them.
    bench.due_ms += DAY_MS;
    bench.slack.fail_next(Fault::Error("is_archived"));
    bench.fails(Outcome::Error, "Slack refused the message to #ops: is_archived").await;
    assert_eq!(bench.ok().await, "down: www; told #ops");
    assert_eq!(bench.told(&mut seen), ["Uptime of the day: 1 of 2 had trouble"]);
    let blocks = bench.slack.messages()[0].blocks.clone().expect("blocks");
    assert_eq!(blocks[0]["text"]["text"], "Uptime of the day");
    let fields = &blocks[1]["fields"];
    assert_eq!(fields[0]["text"], ":large_green_circle: *api*");
    assert!(fields[1]["text"].as_str().is_some_and(|text| text.starts_with("100 % of 3, slowest ")), "{fields}");
    assert_eq!(fields[2]["text"], ":red_circle: *www* · *down now*");
    assert!(fields[3]["text"].as_str().is_some_and(|text| text.starts_with("33.33 % of 3")), "{fields}");

    // And the figures begin anew.
    bench.due_ms += 60_000;
    assert_eq!(bench.ok().await, "down: www");
    assert!(bench.told(&mut seen).is_empty());
    bench.due_ms += DAY_MS;
    assert_eq!(bench.ok().await, "down: www; told #ops");
    let fields = bench.slack.messages()[1].blocks.clone().expect("blocks")[1]["fields"].clone();
    assert!(fields[3]["text"].as_str().is_some_and(|text| text.starts_with("0.00 % of 2")), "{fields}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_wrong_setting_is_a_final_failure() {
    let web = Web::start().await;
    for (key, value, reason) in [
        ("services", json!({}), "1 to 15 services"),
        ("hours", json!("24"), "the setting `hours`"),
        ("services", json!({"x": "https://example.com"}), "write `http = ["),
    ] {
        let mut bench = bench(&web).await;
        set(&mut bench, key, value);
        bench.fails(Outcome::Error, reason).await;
    }
}
