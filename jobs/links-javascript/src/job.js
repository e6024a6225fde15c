// Walks a site by its sitemap, a bounded part of it each run, and tells Slack of links that are broken.

import { leftMs } from "soloist:job/clock@0.1.0";
import * as config from "soloist:job/config@0.1.0";
import * as http from "soloist:job/http@0.1.0";
import { log } from "soloist:job/log@0.1.0";
import * as slack from "soloist:job/slack@0.1.0";
import * as state from "soloist:job/state@0.1.0";

import { decode, encode, news } from "./memory.js";
import { MAX_PAGES, sitemap } from "./site.js";
import { walk } from "./walk.js";

/** Requests of one run. The host allows 100, and counts each redirect. */
const REQUESTS = 70;

/** How much of the run is kept for telling Slack, in milliseconds. */
const RESERVE_MS = 5_000;

/** Sitemaps of an index that are read. */
const MAX_SITEMAPS = 10;

/** Broken links in one message. */
const MAX_LISTED = 20;

const retry = (val) => ({ tag: "retry", val });
const final = (val) => ({ tag: "final", val });

/** What the host said in place of an answer; anything else that is thrown goes on. */
function refusal(thrown) {
    if (thrown?.payload?.tag === undefined) throw thrown;
    return thrown.payload;
}

function settings() {
    const { sitemap, channel, ...rest } = JSON.parse(config.json());
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw final(`unknown setting \`${unknown}\``);
    if (typeof sitemap !== "string") throw final("the setting `sitemap` must be the URL of a sitemap");
    if (typeof channel !== "string") throw final("the setting `channel` must be the name of a Slack channel");
    return { sitemap, channel };
}

/** The bounds of this run, and a way to ask within them. */
function asker() {
    let asked = 0;
    const denied = new Set();

    const mayAsk = () => asked < REQUESTS && leftMs() > BigInt(RESERVE_MS);

    const ask = (method, url) => {
        const { origin } = new URL(url);
        if (denied.has(origin)) return { denied: true };
        asked += 1;
        try {
            const timeoutMs = Math.max(1, Math.min(10_000, Number(leftMs()) - RESERVE_MS));
            const answer = http.fetch({ method, url, headers: [], body: new Uint8Array(), timeoutMs });
            const type = answer.headers.find(([name]) => name === "content-type")?.[1];
            return { status: answer.status, url: answer.url, type, text: new TextDecoder().decode(answer.body) };
        } catch (thrown) {
            const error = refusal(thrown);
            if (error.tag === "denied") {
                log("debug", `not looked at: ${error.val}`);
                denied.add(origin);
                return { denied: true, why: error.val };
            }
            // What is too large is there.
            if (error.tag === "too-large") return { status: 200, url, text: "" };
            return { failed: error.val ?? "no answer in time" };
        }
    };
    return { ask, mayAsk };
}

/** The pages of a sitemap, or of the sitemaps that it lists. */
function pages(url, ask, mayAsk) {
    const read = (from) => {
        const { status, text, failed, why } = ask("GET", from);
        if (why !== undefined) throw final(why);
        if (failed !== undefined || status !== 200) throw retry(`${from}: ${failed ?? `status ${status}`}`);
        const found = sitemap(text);
        if (found === undefined) throw final(`${from} is no sitemap`);
        return found;
    };
    const { isIndex, urls } = read(url);
    if (!isIndex) return urls;
    const all = new Set();
    for (const part of urls.slice(0, MAX_SITEMAPS)) {
        if (!mayAsk()) break;
        for (const page of read(part).urls) all.add(page);
    }
    return [...all].slice(0, MAX_PAGES);
}

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function message(fresh) {
    const lines = fresh.slice(0, MAX_LISTED).map(({ url, on, broken }) => {
        return `• ${escape(url)}: ${escape(broken)}${on === url ? "" : `, on ${escape(on)}`}`;
    });
    if (fresh.length > MAX_LISTED) lines.push(`and ${fresh.length - MAX_LISTED} more`);
    return [`:broken_heart: ${fresh.length === 1 ? "A link is" : `${fresh.length} links are`} broken:`, ...lines].join("\n");
}

/** Posts the message. If it cannot be posted nothing is remembered, and the next attempt finds the links again. */
function tell(channel, fresh) {
    try {
        slack.post({ channel, text: message(fresh) });
    } catch (thrown) {
        const { tag, val } = refusal(thrown);
        if (tag === "rate-limited") throw retry(`Slack asks to wait ${val} s`);
        if (tag === "unavailable") throw retry(`${channel} could not be told: ${val}`);
        throw final(tag === "rejected" ? `Slack refused the message to ${channel}: ${val}` : val);
    }
}

export function run() {
    const { sitemap: from, channel } = settings();
    const { ask, mayAsk } = asker();
    const site = pages(from, ask, mayAsk);
    if (site.length === 0) return "the sitemap is empty";

    const before = decode(state.get());
    const walked = walk(site, before.next, ask, mayAsk);
    const { fresh, told } = news(before.told, walked.looked);
    if (fresh.length > 0) tell(channel, fresh);
    state.set(encode({ next: walked.next, told }));

    const broken = walked.looked.filter((link) => link.broken).length;
    const counts = `${walked.pages} of ${site.length} pages, ${walked.looked.length} links, ${broken} broken`;
    return fresh.length > 0 ? `${counts}; told ${channel} of ${fresh.length}` : counts;
}
