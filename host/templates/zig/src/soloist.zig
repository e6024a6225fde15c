//! The host's functions by the canonical ABI of the component model, as `wit/` describes them; add what the job needs more.
//! https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md

const std = @import("std");
const check = @import("check.zig");

/// Text or bytes in memory: `string` and `list<u8>` of WIT.
const Bytes = extern struct {
    at: [*]const u8,
    len: usize,

    fn of(bytes: []const u8) Bytes {
        return .{ .at = bytes.ptr, .len = bytes.len };
    }

    fn slice(self: Bytes) []const u8 {
        return self.at[0..self.len];
    }
};

/// `option<string>` of WIT.
const OptionBytes = extern struct { is_some: u8, value: Bytes };

/// What the host tells a job about the run.
pub const Context = struct {
    job: []const u8,
    agent: []const u8,
    /// The round: its due time in seconds since the Unix epoch.
    round: u64,
    /// The attempt at it, from 1.
    attempt: u32,
    due_ms: u64,
    deadline_ms: u64,
    /// How the job's previous run ended.
    previous: ?[]const u8,
};

const config = struct {
    extern "soloist:job/config@0.1.0" fn get(key: [*]const u8, len: usize, result: *OptionBytes) void;
};

/// A setting: `[job.NAME.config]`.
pub fn setting(key: []const u8) ?[]const u8 {
    var result: OptionBytes = undefined;
    config.get(key.ptr, key.len, &result);
    return if (result.is_some != 0) result.value.slice() else null;
}

pub const Level = enum(i32) { trace, debug, info, warn, @"error" };

const logging = struct {
    extern "soloist:job/log@0.1.0" fn log(level: i32, message: [*]const u8, len: usize) void;
};

/// Writes a line to the agent's log.
pub fn log(level: Level, message: []const u8) void {
    logging.log(@intFromEnum(level), message.ptr, message.len);
}

/// A response, or why there is none.
pub const Answer = union(enum) {
    ok: check.Response,
    denied: []const u8,
    invalid: []const u8,
    timeout,
    too_large: []const u8,
    failed: []const u8,
};

const http = struct {
    /// `result<response, error>`: which of them, and then the one or the other.
    const Result = extern struct {
        is_error: u8,
        of: extern union {
            response: extern struct { status: u16, headers: Bytes, body: Bytes, url: Bytes },
            failure: extern struct { tag: u8, reason: Bytes },
        },
    };

    extern "soloist:job/http@0.1.0" fn fetch(
        method: [*]const u8,
        method_len: usize,
        url: [*]const u8,
        url_len: usize,
        headers: usize,
        headers_len: usize,
        body: usize,
        body_len: usize,
        has_timeout: i32,
        timeout_ms: i32,
        result: *Result,
    ) void;
};

/// Asks a URL, and waits for the whole response.
pub fn get(url: []const u8) Answer {
    var result: http.Result = undefined;
    http.fetch("GET", 3, url.ptr, url.len, 4, 0, 1, 0, 0, 0, &result);
    if (result.is_error == 0) {
        const response = result.of.response;
        return .{ .ok = .{ .status = response.status, .body = response.body.slice() } };
    }
    const failure = result.of.failure;
    return switch (failure.tag) {
        0 => .{ .denied = failure.reason.slice() },
        1 => .{ .invalid = failure.reason.slice() },
        2 => .timeout,
        3 => .{ .too_large = failure.reason.slice() },
        else => .{ .failed = failure.reason.slice() },
    };
}

/// `result<string, failure>`: a summary; or whether another attempt can help, and why it failed.
const Returned = extern struct {
    is_error: u8,
    of: extern union { summary: Bytes, failure: extern struct { tag: u8, reason: Bytes } },
};

var returned: Returned = undefined;

/// Exports a function as the job of this module.
pub fn exportJob(comptime run: anytype) void {
    const Export = struct {
        fn call(
            job: [*]const u8,
            job_len: usize,
            agent: [*]const u8,
            agent_len: usize,
            round: u64,
            attempt: u32,
            due_ms: u64,
            deadline_ms: u64,
            has_previous: u32,
            previous: [*]const u8,
            previous_len: usize,
        ) callconv(.c) *Returned {
            const outcome: check.Outcome = run(Context{
                .job = job[0..job_len],
                .agent = agent[0..agent_len],
                .round = round,
                .attempt = attempt,
                .due_ms = due_ms,
                .deadline_ms = deadline_ms,
                .previous = if (has_previous != 0) previous[0..previous_len] else null,
            }) catch |failed| .{ .retry = @errorName(failed) };
            returned = switch (outcome) {
                .ok => |text| .{ .is_error = 0, .of = .{ .summary = Bytes.of(text) } },
                .retry => |text| .{ .is_error = 1, .of = .{ .failure = .{ .tag = 0, .reason = Bytes.of(text) } } },
                .final => |text| .{ .is_error = 1, .of = .{ .failure = .{ .tag = 1, .reason = Bytes.of(text) } } },
            };
            return &returned;
        }
    };
    @export(&Export.call, .{ .name = "run" });
    @export(&realloc, .{ .name = "cabi_realloc" });
}

/// What the host calls for room for a value. It never asks for more room for an old one.
fn realloc(old: usize, old_size: usize, alignment: usize, size: usize) callconv(.c) usize {
    std.debug.assert(old == 0 and old_size == 0 and alignment <= 16);
    if (size == 0) return alignment;
    const block = std.heap.wasm_allocator.alignedAlloc(u8, .@"16", size) catch @trap();
    return @intFromPtr(block.ptr);
}
