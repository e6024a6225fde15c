// The interfaces of the WIT package `soloist:job`, as the job sees them. What one is for: the file of its name in `wit/`.
// Where WIT says `result<T, E>`, the function returns T and throws an error with `payload: E`. To use another interface
// than `config` and `log`, name it in `wit/project.wit` too.

declare module 'soloist:job/types@0.1.0' {
  export interface Context {
    job: string;
    agent: string;
    round: bigint;
    attempt: number;
    dueMs: bigint;
    deadlineMs: bigint;
    previous?: string;
  }
  export type Failure = { tag: 'retry'; val: string } | { tag: 'final'; val: string };
}

declare module 'soloist:job/config@0.1.0' {
  export function get(key: string): string | undefined;
  export function json(): string;
}

declare module 'soloist:job/log@0.1.0' {
  export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';
  export function log(level: Level, message: string): void;
}

declare module 'soloist:job/clock@0.1.0' {
  export function nowMs(): bigint;
  export function monotonicNs(): bigint;
  export function leftMs(): bigint;
  export function sleepMs(milliseconds: number): void;
}

declare module 'soloist:job/random@0.1.0' {
  export function number(): bigint;
  export function bytes(length: number): Uint8Array;
}

declare module 'soloist:job/metric@0.1.0' {
  export type Error = { tag: 'invalid'; val: string } | { tag: 'refused'; val: string };
  export function count(name: string, by: number, labels: [string, string][]): void;
  export function gauge(name: string, value: number, labels: [string, string][]): void;
}

declare module 'soloist:job/state@0.1.0' {
  export type Error = { tag: 'too-large'; val: number };
  export function get(): string | undefined;
  export function set(value: string | undefined): void;
}

declare module 'soloist:job/http@0.1.0' {
  export interface Request {
    method: string;
    url: string;
    headers: [string, string][];
    body: Uint8Array;
    timeoutMs?: number;
  }
  export interface Response {
    status: number;
    headers: [string, string][];
    body: Uint8Array;
    url: string;
  }
  export type Error =
    | { tag: 'denied'; val: string }
    | { tag: 'invalid'; val: string }
    | { tag: 'timeout' }
    | { tag: 'too-large'; val: string }
    | { tag: 'failed'; val: string };
  export function fetch(request: Request): Response;
  export function certificates(origin: string, timeoutMs?: number): Uint8Array[];
}

declare module 'soloist:job/secrets@0.1.0' {
  export type Error = { tag: 'denied'; val: string };
  export function get(name: string): string;
}

declare module 'soloist:job/slack@0.1.0' {
  export interface Message {
    channel: string;
    text: string;
    blocks?: string;
    thread?: string;
  }
  export interface Posted {
    channel: string;
    ts: string;
  }
  export type Error =
    | { tag: 'denied'; val: string }
    | { tag: 'invalid'; val: string }
    | { tag: 'rejected'; val: string }
    | { tag: 'rate-limited'; val: number }
    | { tag: 'unavailable'; val: string };
  export function post(message: Message): Posted | undefined;
  export function update(posted: Posted, message: Message): Posted;
}

declare module 'soloist:job/dns@0.1.0' {
  export interface Rr {
    name: string;
    rtype: string;
    ttl: number;
    data: string;
  }
  export interface Answer {
    rcode: string;
    authoritative: boolean;
    records: Rr[];
    nsid?: string;
  }
  export type Error =
    | { tag: 'denied'; val: string }
    | { tag: 'invalid'; val: string }
    | { tag: 'timeout' }
    | { tag: 'failed'; val: string };
  export interface Reply {
    server: string;
    answer: { tag: 'ok'; val: Answer } | { tag: 'err'; val: Error };
    elapsedMs: number;
  }
  export function lookup(name: string, rtype: string): Answer;
  export function ask(name: string, rtype: string, servers: string[], timeoutMs?: number): Reply[];
}

declare module 'soloist:job/dns-update@0.1.0' {
  export interface Rrset {
    name: string;
    rtype: string;
    ttl: number;
    data: string[];
  }
  export type Error =
    | { tag: 'denied'; val: string }
    | { tag: 'invalid'; val: string }
    | { tag: 'refused'; val: string }
    | { tag: 'unavailable'; val: string };
  export function replace(rrsets: Rrset[]): void;
}
