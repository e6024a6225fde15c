//! `disk-free-c`: machines that say how much room they have.

use serde_json::json;
use soloist::round::Outcome;
use soloist_tests::slack::Fault;

use crate::bench::{Bench, set};
use crate::web::Web;

async fn bench(web: &Web) -> Bench {
    let settings = json!({
        "channel": "#ops", "warn": 10, "machines": {"db": web.url("/db"), "web": web.url("/web")},
    });
    Bench::new("disk-free-c", settings, &web.grant()).await
}

fn free(web: &Web, path: &str, free: u64) {
    let root =
        json!({"source": "/dev/sda1", "fstype": "ext4", "size": 100_u64 << 30, "avail": free << 30, "target": "/"});
    let boot = json!({"source": "/dev/sda2", "fstype": "vfat", "size": "1000", "avail": "900", "target": "/boot"});
    web.page(path, 200, &json!({"filesystems": [root, boot]}).to_string());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_full_disk_is_told_once_and_so_is_its_end() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let mut seen = 0;
    free(&web, "/db", 50);
    free(&web, "/web", 50);
    assert_eq!(bench.ok().await, "2 of 2 machines answered, 4 filesystems, 0 low");
    free(&web, "/db", 9);
    bench.slack.fail_next(Fault::Error("not_in_channel"));
    bench.fails(Outcome::Error, "Slack refused the message to #ops: not_in_channel").await;
    assert_eq!(bench.ok().await, "2 of 2 machines answered, 4 filesystems, 1 low; told #ops");
    assert!(bench.told(&mut seen)[0].contains(":warning: *db* /: 9.0 GiB of 100 GiB free, 9.0 %"));
    assert_eq!(bench.ok().await, "2 of 2 machines answered, 4 filesystems, 1 low");

    // A machine that says nothing is told, too, and its full disk is not told again when it speaks.
    web.page("/db", 503, "");
    assert_eq!(bench.ok().await, "1 of 2 machines answered, 2 filesystems, 0 low; told #ops");
    assert!(bench.told(&mut seen)[0].contains("*db* does not say how much room it has: status 503"));
    free(&web, "/db", 9);
    assert_eq!(bench.ok().await, "2 of 2 machines answered, 4 filesystems, 1 low; told #ops");
    assert_eq!(bench.told(&mut seen), [":white_check_mark: *db* answers again"]);
    free(&web, "/db", 20);
    assert_eq!(bench.ok().await, "2 of 2 machines answered, 4 filesystems, 0 low; told #ops");
    assert!(bench.told(&mut seen)[0].contains("*db* / has room again"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn answers_that_are_none_and_settings_that_are_wrong_are_named() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let mut seen = 0;
    web.page("/db", 200, "{\"filesystems\": [");
    web.page("/web", 0, "");
    assert_eq!(bench.ok().await, "0 of 2 machines answered, 0 filesystems, 0 low; told #ops");
    assert!(bench.told(&mut seen)[0].contains("*db* does not say how much room it has: the answer is no JSON"));
    for (key, value, reason) in [
        ("warn", json!(100), "the setting `warn`"),
        ("machines", json!(["x"]), "the setting `machines`"),
        ("machines", json!({"x": "https://example.com"}), "write `http = ["),
        ("colour", json!("red"), "unknown setting `colour`"),
    ] {
        let mut bench = self::bench(&web).await;
        set(&mut bench, key, value);
        bench.fails(Outcome::Error, reason).await;
    }
}
