// Fails as the job's name says.

class NoSuchThing extends Error {
    override name = "NoSuchThing";
}

function fail(mode: string): void {
    switch (mode) {
        case "exception":
            throw new NoSuchThing("no such thing: 7");
        case "exception-of-text":
            throw "no such thing: 7";
        case "undefined": {
            const nothing = JSON.parse("{}") as { thing: { name: string } };
            nothing.thing.name.trim();
            break;
        }
        case "retry":
            throw { tag: "retry", val: "again, please" };
        case "final":
            throw { tag: "final", val: "never again" };
    }
}

export async function run({ job }: { job: string }): Promise<string> {
    await Promise.resolve();
    fail(job);
    return "did not fail";
}
