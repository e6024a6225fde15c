// What the host offers this job, as TypeScript sees it: the interfaces of wit/world.wit. A function whose result is an error
// throws a `Refusal`, and `run` throws a `Failure` for a failed run.

interface Refusal<Error> {
    payload: Error;
}

declare module "soloist:job/config@0.1.0" {
    export function get(key: string): string | undefined;
    export function json(): string;
}

declare module "soloist:job/clock@0.1.0" {
    export function nowMs(): bigint;
    export function monotonicNs(): bigint;
    export function leftMs(): bigint;
    export function sleepMs(milliseconds: number): void;
}

declare module "soloist:job/log@0.1.0" {
    export type Level = "trace" | "debug" | "info" | "warn" | "error";
    export function log(level: Level, message: string): void;
}

declare module "soloist:job/state@0.1.0" {
    export type Error = { tag: "too-large"; val: number };
    export function get(): string | undefined;
    export function set(value: string | undefined): void;
}

declare module "soloist:job/http@0.1.0" {
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
        | { tag: "denied" | "invalid" | "too-large" | "failed"; val: string }
        | { tag: "timeout" };
    export function fetch(request: Request): Response;
}

declare module "soloist:job/slack@0.1.0" {
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
        | { tag: "denied" | "invalid" | "rejected" | "unavailable"; val: string }
        | { tag: "rate-limited"; val: number };
    export function post(message: Message): Posted | undefined;
    export function update(posted: Posted, message: Message): Posted;
}

declare module "soloist:job/types@0.1.0" {
    export interface Context {
        job: string;
        agent: string;
        round: bigint;
        attempt: number;
        dueMs: bigint;
        deadlineMs: bigint;
        previous?: string;
    }
    export type Failure = { tag: "retry" | "final"; val: string };
}
