// The summary as Slack shows it, in Block Kit (https://docs.slack.dev/reference/block-kit/blocks).

import type { Count } from "./tally.js";

export interface Block {
    type: "header" | "section" | "context" | "divider";
    text?: { type: "plain_text" | "mrkdwn"; text: string };
    fields?: { type: "mrkdwn"; text: string }[];
    elements?: { type: "mrkdwn"; text: string }[];
}

export interface Service {
    name: string;
    url: string;
}

/** Text that Slack takes for no markup (`<!channel>`). */
export function escape(text: string): string {
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The share of looks that found a service up; never rounded up to 100 %. */
export function percent({ up, looks }: Count): string {
    if (looks === 0) return "no data";
    if (up === looks) return "100 %";
    return `${(Math.floor((up / looks) * 10_000) / 100).toFixed(2)} %`;
}

function light({ up, looks }: Count): string {
    if (looks === 0) return ":white_circle:";
    if (up === looks) return ":large_green_circle:";
    return up / looks >= 0.99 ? ":large_yellow_circle:" : ":red_circle:";
}

/** One line for a notification, which shows no blocks. */
export function headline(title: string, counts: Count[]): string {
    const bad = counts.filter(({ up, looks }) => up < looks).length;
    return bad === 0 ? `${title}: all ${counts.length} were up` : `${title}: ${bad} of ${counts.length} had trouble`;
}

export function blocks(title: string, services: Service[], counts: Count[], from: Date, to: Date): Block[] {
    // A section holds at most ten fields: two columns of five services.
    const sections: Block[] = [];
    for (let start = 0; start < services.length; start += 5) {
        const fields = services.slice(start, start + 5).flatMap(({ name }, offset) => {
            const count = counts[start + offset];
            if (count === undefined) return [];
            const now = count.isUp ? "" : " · *down now*";
            return [
                { type: "mrkdwn" as const, text: `${light(count)} *${escape(name)}*${now}` },
                { type: "mrkdwn" as const, text: `${percent(count)} of ${count.looks}, slowest ${count.slowest} ms` },
            ];
        });
        sections.push({ type: "section", fields });
    }
    const span = `${from.toISOString().slice(0, 16)}Z to ${to.toISOString().slice(0, 16)}Z`;
    return [
        { type: "header", text: { type: "plain_text", text: title.slice(0, 150) } },
        ...sections,
        { type: "context", elements: [{ type: "mrkdwn", text: span }] },
    ];
}
