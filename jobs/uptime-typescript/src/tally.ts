// What is remembered of the services between two summaries, in the few hundred bytes that a job may keep.

/** How a service did since the last summary. */
export interface Count {
    /** Looks that found it up. */
    up: number;
    /** Looks in all. */
    looks: number;
    /** The longest answer, in milliseconds. */
    slowest: number;
    /** Whether the last look found it up. */
    isUp: boolean;
}

/** The figures of one period: a day, unless the settings say otherwise. */
export interface Tally {
    /** The period's number since the Unix epoch. */
    period: number;
    counts: Count[];
}

/** What one look at a service found. */
export interface Look {
    up: boolean;
    tookMs: number;
}

export function empty(period: number, services: number): Tally {
    const count = (): Count => ({ up: 0, looks: 0, slowest: 0, isUp: true });
    return { period, counts: Array.from({ length: services }, count) };
}

export function add(tally: Tally, looks: Look[]): Tally {
    const counts = tally.counts.map((count, index): Count => {
        const look = looks[index];
        if (look === undefined) return count;
        return {
            up: count.up + (look.up ? 1 : 0),
            looks: count.looks + 1,
            slowest: Math.max(count.slowest, look.up ? look.tookMs : 0),
            isUp: look.up,
        };
    });
    return { ...tally, counts };
}

/**
 * Which services the figures belong to: they start anew when the list changes. (FNV-1a: short and the same everywhere; nobody
 * gains anything by a collision.)
 */
export function fingerprint(names: string[]): string {
    let hash = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(names.join("\0"))) {
        hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    }
    return hash.toString(36);
}

export function encode(tally: Tally, names: string[]): string {
    const counts = tally.counts.map(({ up, looks, slowest, isUp }) => [up, looks, slowest, isUp ? 1 : 0].join(" "));
    return [tally.period, fingerprint(names), ...counts].join(",");
}

/** What was remembered; nothing if it is of other services, or cannot be read. */
export function decode(text: string | undefined, names: string[]): Tally | undefined {
    const [period, of, ...rest] = (text ?? "").split(",");
    if (of !== fingerprint(names) || rest.length !== names.length) return undefined;
    const counts = rest.map((part): Count => {
        const [up = NaN, looks = NaN, slowest = NaN, isUp = NaN] = part.split(" ").map(Number);
        return { up, looks, slowest, isUp: isUp === 1 };
    });
    const numbers = [Number(period), ...counts.flatMap(({ up, looks, slowest }) => [up, looks, slowest])];
    return numbers.every(Number.isSafeInteger) ? { period: Number(period), counts } : undefined;
}
