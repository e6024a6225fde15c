// Fails as the job's name says.

function fail(mode) {
    switch (mode) {
        case "exception":
            throw new TypeError("no such thing: 7");
        case "exception-of-text":
            throw "no such thing: 7";
        case "retry":
            throw { tag: "retry", val: "again, please" };
        case "final":
            throw { tag: "final", val: "never again" };
    }
}

export async function run({ job }) {
    await Promise.resolve();
    fail(job);
    return "did not fail";
}
