// One run's walk through a site: from page to page, until it is through, its requests are used up or its time is.

import { links } from "./site.js";

/**
 * Looks at the pages from `start` on, and at what they link to.
 *
 * `ask(method, url)` gives `{status, url, type, text}`, `{failed: why}`, or `{denied: true}` for what the job may not ask;
 * `mayAsk()` tells whether the bounds allow another request. The page at which the bounds ended the walk is the next one to
 * look at, unless the walk began with it: a page with too many links for one run must not hold up the others.
 */
export function walk(pages, start, ask, mayAsk) {
    const seen = new Map();
    let index = start < pages.length ? start : 0;
    for (let steps = 0; steps < pages.length; steps += 1) {
        const done = page(pages[index], seen, ask, mayAsk);
        if (!done && steps > 0) return { next: index, pages: steps, looked: [...seen.values()] };
        index = (index + 1) % pages.length;
        if (!done) return { next: index, pages: 1, looked: [...seen.values()] };
    }
    return { next: index, pages: pages.length, looked: [...seen.values()] };
}

/** Looks at one page and its links; whether all of them could be looked at. */
function page(url, seen, ask, mayAsk) {
    if (!mayAsk()) return false;
    const answer = ask("GET", url);
    note(seen, url, url, answer);
    if (!/^text\/html|xhtml/.test(answer.type ?? "") || answer.status >= 400) return true;
    for (const link of links(answer.text, answer.url)) {
        if (seen.has(link)) continue;
        if (!mayAsk()) return false;
        let found = ask("HEAD", link);
        // Not every server can say what it would answer.
        if ([405, 501].includes(found.status)) {
            if (!mayAsk()) return false;
            found = ask("GET", link);
        }
        note(seen, link, url, found);
    }
    return true;
}

function note(seen, url, on, { status, failed, denied }) {
    if (denied) return;
    // 429 is an answer to how often was asked, and not about the link.
    const broken = failed ?? (status >= 400 && status !== 429 ? `status ${status}` : undefined);
    seen.set(url, { url, on, broken });
}
