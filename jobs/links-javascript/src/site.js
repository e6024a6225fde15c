// What is in a sitemap and in a page: bounded, and without a parser for all of HTML.

/** The most pages of a sitemap that are looked at; the rest is left out. */
export const MAX_PAGES = 5_000;

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Text as it was before it was written into XML or HTML. */
export function unescape(text) {
    return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal, hex, name) => {
        if (name) return ENTITIES[name.toLowerCase()];
        const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
        return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    });
}

/**
 * The URLs in a sitemap, and whether it is an index of other sitemaps (https://www.sitemaps.org/protocol.html).
 * Gives `undefined` for what is none.
 */
export function sitemap(xml) {
    const kind = /<(?:\w+:)?(urlset|sitemapindex)\b/.exec(xml)?.[1];
    if (kind === undefined) return undefined;
    const urls = new Set();
    for (const [, cdata, text] of xml.matchAll(/<(?:\w+:)?loc>\s*(?:<!\[CDATA\[\s*(.*?)\s*\]\]>|([^<]*?))\s*<\//g)) {
        if (urls.size >= MAX_PAGES) break;
        const url = absolute(cdata ?? unescape(text));
        if (url) urls.add(url);
    }
    return { isIndex: kind === "sitemapindex", urls: [...urls] };
}

/** The links of a page and what it shows, each once, without what follows `#`. */
export function links(html, base) {
    const bare = html.replace(/<!--[\s\S]*?-->/g, "").replace(/(<script\b[^>]*>)[\s\S]*?<\/script/gi, "$1");
    const tag = /<(?:a|area|img|link|script)\b[^>]*?\s(?:href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/gi;
    const found = new Set();
    for (const [, double, single, plain] of bare.matchAll(tag)) {
        const url = absolute(unescape(double ?? single ?? plain).trim(), base);
        if (url) found.add(url);
    }
    return [...found];
}

/** An `http` or `https` URL without its fragment; `undefined` for what is none. */
function absolute(text, base) {
    let url;
    try {
        url = new URL(text, base);
    } catch {
        return undefined;
    }
    if (!/^https?:$/.test(url.protocol)) return undefined;
    url.hash = "";
    return url.href;
}
