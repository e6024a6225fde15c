//! `links-javascript`: a site with broken links, walked through run by run.

use serde_json::json;
use soloist::round::Outcome;
use soloist_tests::slack::Fault;

use crate::bench::Bench;
use crate::web::Web;

async fn bench(web: &Web) -> Bench {
    let settings = json!({"sitemap": web.url("/sitemap.xml"), "channel": "#ops"});
    Bench::new("links-javascript", settings, &web.grant()).await
}

fn sitemap(web: &Web, paths: &[String]) {
    let urls: String = paths.iter().map(|path| format!("<url><loc>{}</loc></url>", web.url(path))).collect();
    web.page("/sitemap.xml", 200, &format!("<?xml version=\"1.0\"?><urlset>{urls}</urlset>"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_broken_link_is_told_once_until_it_works_again() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let mut seen = 0;
    sitemap(&web, &["/".to_owned(), "/about".to_owned()]);
    web.page(
        "/",
        200,
        "<a href='/about'>about</a> <a href='/gone#top'>x</a> <a href='https://example.com/'>elsewhere</a>",
    );
    web.page("/about", 200, "<img src=\"broken.png\">");
    web.page("/broken.png", 500, "");
    assert_eq!(bench.ok().await, "2 of 2 pages, 4 links, 2 broken; told #ops of 2");
    let told = bench.told(&mut seen);
    assert!(told[0].contains(&format!("{}: status 404, on {}", web.url("/gone"), web.url("/"))), "{told:?}");
    assert!(told[0].contains(&web.url("/broken.png")), "{told:?}");

    assert_eq!(bench.ok().await, "2 of 2 pages, 4 links, 2 broken");
    web.page("/gone", 200, "here");
    assert_eq!(bench.ok().await, "2 of 2 pages, 4 links, 1 broken");
    web.page("/gone", 410, "gone");
    bench.slack.fail_next(Fault::RateLimited(3000));
    bench.fails(Outcome::Retry, "Slack asks to wait").await;
    bench.elsewhere();
    assert_eq!(bench.ok().await, "2 of 2 pages, 4 links, 2 broken; told #ops of 1");
    assert_eq!(bench.told(&mut seen).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_large_site_is_walked_in_parts() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    let paths: Vec<String> = (0..100).map(|number| format!("/{number}")).collect();
    sitemap(&web, &paths);
    for path in &paths {
        web.page(path, 200, "<p>no links");
    }
    web.page("/95", 500, "");
    let mut seen = 0;
    assert_eq!(bench.ok().await, "69 of 100 pages, 69 links, 0 broken");
    assert_eq!(web.requests().len(), 70);
    assert_eq!(bench.ok().await, "69 of 100 pages, 69 links, 1 broken; told #ops of 1");
    let asked = web.requests();
    assert!(asked.contains(&"GET /69".to_owned()) && asked.contains(&"GET /0".to_owned()), "{asked:?}");
    assert_eq!(bench.told(&mut seen).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn what_is_no_sitemap_fails() {
    let web = Web::start().await;
    let mut bench = bench(&web).await;
    bench.fails(Outcome::Retry, "status 404").await;
    web.page("/sitemap.xml", 200, "<html>");
    bench.fails(Outcome::Error, "is no sitemap").await;
}
