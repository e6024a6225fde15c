// What is remembered from run to run: where to go on in the sitemap, and which broken links have been told.

/** As many as fit into the few hundred bytes of a job's state. More broken links than that are told again. */
export const MAX_TOLD = 35;

/** A short name of a URL. (FNV-1a: nobody gains anything by a collision but a message less.) */
export function fingerprint(url) {
    let hash = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(url)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    return hash.toString(36);
}

export function decode(text) {
    const [next, told] = (text ?? "").split(" ");
    return { next: /^\d{1,5}$/.test(next) ? Number(next) : 0, told: new Set(told ? told.split(",") : []) };
}

export function encode({ next, told }) {
    return `${next} ${[...told].slice(-MAX_TOLD).join(",")}`;
}

/** What to tell of the links that this run looked at, and what is told then. A link that works again can be told anew. */
export function news(told, looked) {
    const now = new Set(told);
    const fresh = [];
    for (const link of looked) {
        const name = fingerprint(link.url);
        if (!link.broken) now.delete(name);
        else if (!now.has(name)) {
            now.add(name);
            fresh.push(link);
        }
    }
    return { fresh, told: now };
}
