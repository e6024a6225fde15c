// Looks at a few services each run, and posts a summary to Slack each day.

import { leftMs, monotonicNs } from "soloist:job/clock@0.1.0";
import * as config from "soloist:job/config@0.1.0";
import { fetch as request, type Error as HttpError } from "soloist:job/http@0.1.0";
import { log } from "soloist:job/log@0.1.0";
import { post, type Error as SlackError } from "soloist:job/slack@0.1.0";
import * as state from "soloist:job/state@0.1.0";
import type { Context, Failure } from "soloist:job/types@0.1.0";

import { blocks, headline } from "./blocks.js";
import { Mistake, parse, type Settings } from "./settings.js";
import { add, decode, empty, encode, type Look, type Tally } from "./tally.js";

const HOUR_MS = 3_600_000;

const retry = (val: string): Failure => ({ tag: "retry", val });
const final = (val: string): Failure => ({ tag: "final", val });

/** What the host said in place of an answer; anything else that is thrown goes on. */
function refusal<Error>(thrown: unknown): Error {
    if (typeof thrown === "object" && thrown !== null && "payload" in thrown) return thrown.payload as Error;
    throw thrown;
}

/** A service is up if it answers in time with a status below 400. */
function look(url: string, timeoutMs: number): Look {
    const start = monotonicNs();
    let up: boolean;
    try {
        up = request({ method: "GET", url, headers: [], body: new Uint8Array(), timeoutMs }).status < 400;
    } catch (thrown) {
        const error = refusal<HttpError>(thrown);
        if (error.tag === "denied" || error.tag === "invalid") throw final(error.val);
        log("info", `${url}: ${"val" in error ? error.val : error.tag}`);
        up = false;
    }
    return { up, tookMs: Number((monotonicNs() - start) / 1_000_000n) };
}

/** Posts the summary. If it cannot be posted the figures stay as they were, and the next attempt posts it. */
function tell({ channel, title, services, hours }: Settings, { period, counts }: Tally): void {
    const from = new Date(period * hours * HOUR_MS);
    const to = new Date(from.getTime() + hours * HOUR_MS);
    try {
        const text = headline(title, counts);
        post({ channel, text, blocks: JSON.stringify(blocks(title, services, counts, from, to)) });
    } catch (thrown) {
        const error = refusal<SlackError>(thrown);
        switch (error.tag) {
            case "rate-limited":
                throw retry(`Slack asks to wait ${error.val} s`);
            case "unavailable":
                throw retry(`${channel} could not be told: ${error.val}`);
            case "rejected":
                throw final(`Slack refused the message to ${channel}: ${error.val}`);
            default:
                throw final(error.val);
        }
    }
}

function settings(): Settings {
    try {
        return parse(config.json());
    } catch (thrown) {
        if (thrown instanceof Mistake) throw final(thrown.message);
        throw thrown;
    }
}

export function run(context: Context): string {
    const set = settings();
    const names = set.services.map(({ name }) => name);
    const period = Math.floor(Number(context.dueMs) / (set.hours * HOUR_MS));

    let told = "";
    let tally = decode(state.get(), names) ?? empty(period, names.length);
    if (tally.period !== period) {
        tell(set, tally);
        told = `; told ${set.channel}`;
        tally = empty(period, names.length);
    }

    const looks = set.services.map(({ url }, index) => {
        // Each has its share of what is left, so that one that hangs leaves time for the others.
        const share = Math.floor(Number(leftMs()) / (names.length - index + 1));
        return look(url, Math.min(set.timeoutMs, Math.max(share, 1)));
    });
    state.set(encode(add(tally, looks), names));
    const down = names.filter((_, index) => !looks[index]?.up);
    return (down.length === 0 ? `all ${names.length} up` : `down: ${down.join(", ")}`) + told;
}
