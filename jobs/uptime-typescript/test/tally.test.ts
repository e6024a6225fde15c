import assert from "node:assert/strict";
import { test } from "node:test";

import { blocks, escape, headline, percent } from "../src/blocks.js";
import { Mistake, MAX_SERVICES, parse } from "../src/settings.js";
import { add, decode, empty, encode, fingerprint } from "../src/tally.js";

const names = ["api", "www"];

test("looks are counted for each service", () => {
    let tally = add(empty(7, 2), [{ up: true, tookMs: 30 }, { up: false, tookMs: 5000 }]);
    tally = add(tally, [{ up: true, tookMs: 20 }, { up: true, tookMs: 40 }]);
    assert.deepEqual(tally.counts, [
        { up: 2, looks: 2, slowest: 30, isUp: true },
        { up: 1, looks: 2, slowest: 40, isUp: true },
    ]);
});

test("what is remembered comes back", () => {
    const tally = add(empty(7, 2), [{ up: true, tookMs: 30 }, { up: false, tookMs: 5000 }]);
    assert.deepEqual(decode(encode(tally, names), names), tally);
});

test("figures of other services are forgotten", () => {
    const text = encode(empty(7, 2), names);
    assert.equal(decode(text, ["api", "web"]), undefined);
    assert.equal(decode(text, ["api"]), undefined);
    assert.equal(decode(undefined, names), undefined);
    assert.equal(decode(`7,${fingerprint(names)},1 2,x 1 1 1`, names), undefined);
});

test("a week of looks each minute at the most services fits into a job's state", () => {
    const many = Array.from({ length: MAX_SERVICES }, (_, index) => `service ${index}`);
    const counts = many.map(() => ({ up: 10_080, looks: 10_080, slowest: 30_000, isUp: true }));
    assert.ok(encode({ period: 2_900_000, counts }, many).length <= 398);
});

test("nothing but 100 % is 100 %", () => {
    const count = { slowest: 0, isUp: true };
    assert.equal(percent({ ...count, up: 10_000, looks: 10_000 }), "100 %");
    assert.equal(percent({ ...count, up: 99_999, looks: 100_000 }), "99.99 %");
    assert.equal(percent({ ...count, up: 0, looks: 0 }), "no data");
});

test("the blocks keep within Slack's limits, and show names as they are", () => {
    const services = Array.from({ length: 12 }, (_, index) => ({ name: `<!channel> ${index}`, url: "" }));
    const counts = services.map((_, index) => ({ up: 1, looks: index === 3 ? 2 : 1, slowest: 9, isUp: index !== 3 }));
    const shown = blocks("Uptime", services, counts, new Date(0), new Date(86_400_000));
    assert.deepEqual(shown.map(({ type }) => type), ["header", "section", "section", "section", "context"]);
    for (const { fields = [] } of shown) assert.ok(fields.length <= 10);
    assert.equal(shown[1]?.fields?.[6]?.text, ":red_circle: *&lt;!channel&gt; 3* · *down now*");
    assert.equal(shown[4]?.elements?.[0]?.text, "1970-01-01T00:00Z to 1970-01-02T00:00Z");
    assert.equal(headline("Uptime", counts), "Uptime: 1 of 12 had trouble");
    assert.equal(escape("a & b"), "a &amp; b");
});

test("a wrong setting is named", () => {
    const good = { channel: "#ops", services: { api: "https://api.example.com" } };
    assert.equal(parse(JSON.stringify(good)).hours, 24);
    for (const [wrong, reason] of [
        [{ hours: 0 }, /`hours`/],
        [{ chanel: "#x" }, /unknown setting `chanel`/],
        [{ services: {} }, /1 to 15 services/],
        [{ services: Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`s${index}`, "x"])) }, /1 to 15 services, not 16/],
        [{ services: { api: 1 } }, /URL of the service `api`/],
        [{ channel: "" }, /`channel`/],
    ] as const) {
        assert.throws(() => parse(JSON.stringify({ ...good, ...wrong })), (error: unknown) => {
            return error instanceof Mistake && reason.test(error.message);
        });
    }
});
