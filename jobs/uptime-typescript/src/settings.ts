// `[job.NAME.config]`, checked.

import type { Service } from "./blocks.js";

export interface Settings {
    channel: string;
    title: string;
    hours: number;
    timeoutMs: number;
    services: Service[];
}

/** A setting is wrong: no other attempt helps. */
export class Mistake extends Error {}

/** With more of them, the figures would not fit into a job's state. */
export const MAX_SERVICES = 15;

export function parse(json: string): Settings {
    const values: Record<string, unknown> = JSON.parse(json);
    const known = ["channel", "title", "hours", "timeout", "services"];
    const unknown = Object.keys(values).find((key) => !known.includes(key));
    if (unknown !== undefined) throw new Mistake(`unknown setting \`${unknown}\``);
    return {
        channel: text(values, "channel"),
        title: text(values, "title", "Uptime"),
        hours: whole(values, "hours", 24, 1, 168),
        timeoutMs: whole(values, "timeout", 5_000, 100, 30_000),
        services: services(values["services"]),
    };
}

function text(values: Record<string, unknown>, key: string, otherwise?: string): string {
    const value = values[key] ?? otherwise;
    if (typeof value !== "string" || value === "") throw new Mistake(`the setting \`${key}\` must be a text`);
    return value;
}

function whole(values: Record<string, unknown>, key: string, otherwise: number, least: number, most: number): number {
    const value = values[key] ?? otherwise;
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
        throw new Mistake(`the setting \`${key}\` must be a whole number from ${least} to ${most}`);
    }
    return value;
}

function services(value: unknown): Service[] {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw new Mistake("the setting `services` must be a table of names and URLs");
    }
    const found = Object.entries(value).map(([name, url]): Service => {
        if (typeof url !== "string") throw new Mistake(`the URL of the service \`${name}\` must be a text`);
        return { name, url };
    });
    if (found.length === 0 || found.length > MAX_SERVICES) {
        throw new Mistake(`there must be 1 to ${MAX_SERVICES} services, not ${found.length}`);
    }
    return found;
}
