import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode, fingerprint, MAX_TOLD, news } from "../src/memory.js";
import { links, MAX_PAGES, sitemap, unescape } from "../src/site.js";
import { walk } from "../src/walk.js";

test("a sitemap's pages are read, each once", () => {
    const xml = `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
        <url><loc> https://example.com/a?b=1&amp;c=2 </loc></url>
        <url><loc><![CDATA[https://example.com/d]]></loc></url>
        <url><loc>https://example.com/d#part</loc></url>
        <url><loc>javascript:alert(1)</loc></url></urlset>`;
    assert.deepEqual(sitemap(xml), {
        isIndex: false,
        urls: ["https://example.com/a?b=1&c=2", "https://example.com/d"],
    });
    assert.equal(sitemap("<sitemapindex><sitemap><loc>https://example.com/1.xml</loc></sitemap></sitemapindex>").isIndex, true);
    assert.equal(sitemap("<html>not found</html>"), undefined);
    const many = Array.from({ length: MAX_PAGES + 1 }, (_, index) => `<url><loc>https://example.com/${index}</loc></url>`);
    assert.equal(sitemap(`<urlset>${many.join("")}</urlset>`).urls.length, MAX_PAGES);
});

test("a page's links are found, whatever their quotes", () => {
    const html = `<a href="/one">1</a><A class=x HREF='two?x=1&amp;y=2#z'>2</A><img src=three.png>
        <!-- <a href="/commented">no</a> --><script>"<a href='/script'>"</script><a href="mailto:x@example.com">no</a>
        <a name="here">no</a><a href="/one#again">1</a><a href="http://[">no</a>`;
    assert.deepEqual(links(html, "https://example.com/dir/page"), [
        "https://example.com/one",
        "https://example.com/dir/two?x=1&y=2",
        "https://example.com/dir/three.png",
    ]);
});

test("entities are characters, and what is none stays", () => {
    assert.equal(unescape("&#65;&#x42;&amp;amp;&nbsp;&#x110000;"), "AB&amp;&nbsp;&#x110000;");
});

test("what is remembered comes back, and fits", () => {
    const told = new Set(Array.from({ length: 100 }, (_, index) => fingerprint(`https://example.com/${index}`)));
    const text = encode({ next: 4_999, told });
    assert.ok(text.length <= 398, `${text.length} bytes`);
    assert.deepEqual([...decode(text).told], [...told].slice(-MAX_TOLD));
    assert.equal(decode(text).next, 4_999);
    assert.deepEqual(decode(undefined), { next: 0, told: new Set() });
    assert.equal(decode("rubbish").next, 0);
});

test("a broken link is told once, and again after it worked", () => {
    const bad = { url: "https://example.com/x", broken: "status 404" };
    const first = news(new Set(), [bad]);
    assert.deepEqual(first.fresh, [bad]);
    assert.deepEqual(news(first.told, [bad]).fresh, []);
    assert.deepEqual(news(first.told, []).told, first.told);
    assert.equal(news(first.told, [{ url: bad.url }]).told.size, 0);
});

/** A site of pages with three links each, and the requests that it gets. */
function site(count, allowed) {
    const pages = Array.from({ length: count }, (_, index) => `https://example.com/${index}`);
    const requests = [];
    const ask = (method, url) => {
        requests.push(`${method} ${url}`);
        if (url.endsWith("/elsewhere")) return { denied: true };
        if (url.endsWith("/gone")) return { status: 404, url };
        if (url.endsWith("/get-only")) return { status: method === "HEAD" ? 405 : 200, url };
        return { status: 200, url, type: "text/html", text: `<a href="${url}/gone"><a href="/get-only"><a href="/elsewhere">` };
    };
    return { pages, requests, ask, mayAsk: () => requests.length < allowed };
}

test("a walk looks at every page and link, at what they share once", () => {
    const { pages, requests, ask, mayAsk } = site(2, 100);
    const { next, looked } = walk(pages, 0, ask, mayAsk);
    assert.equal(next, 0);
    assert.deepEqual(
        looked.filter(({ broken }) => broken),
        pages.map((on) => ({ url: `${on}/gone`, on, broken: "status 404" })),
    );
    assert.equal(requests.filter((request) => request.endsWith("get-only")).length, 2);
});

test("the next run goes on where the bounds ended this one", () => {
    const { pages, ask, mayAsk } = site(5, 7);
    const first = walk(pages, 3, ask, mayAsk);
    assert.deepEqual([first.next, first.pages], [4, 1]);
    const again = site(5, 3);
    assert.equal(walk(again.pages, 4, again.ask, again.mayAsk).next, 0, "a page that is too much for one run is left behind");
});

test("a sitemap that has shrunk is begun anew", () => {
    const { pages, requests, ask, mayAsk } = site(2, 100);
    walk(pages, 7, ask, mayAsk);
    assert.equal(requests[0], "GET https://example.com/0");
});

test("a server that was asked too often says nothing of the link", () => {
    const answers = { "https://example.com/busy": { status: 429 }, "https://example.com/gone": { status: 410 } };
    const ask = (_, url) => answers[url] ?? { status: 200, url, type: "text/html", text: "<a href=/busy>1</a><a href=/gone>2</a>" };
    const { looked } = walk(["https://example.com/"], 0, ask, () => true);
    assert.deepEqual(looked.filter(({ broken }) => broken).map(({ url }) => url), ["https://example.com/gone"]);
});
