//! Fails as the job's name says.

const std = @import("std");
const host = @import("host");

/// The bindings free what they were given.
fn give(text: []const u8) host.job_string_t {
    const copy = std.heap.c_allocator.dupe(u8, text) catch @panic("out of memory");
    return .{ .ptr = copy.ptr, .len = copy.len };
}

noinline fn fail(mode: []const u8) error{ Retry, Final }!void {
    const is = std.mem.eql;
    if (is(u8, mode, "exception")) @panic("no such thing: 7");
    if (is(u8, mode, "index")) std.mem.doNotOptimizeAway(("things"[0..])[mode.len + 2]);
    if (is(u8, mode, "exit")) std.process.exit(3);
    if (is(u8, mode, "trap")) @trap();
    if (is(u8, mode, "retry")) return error.Retry;
    if (is(u8, mode, "final")) return error.Final;
}

export fn exports_job_run(context: *host.job_context_t, summary: *host.job_string_t, failure: *host.job_failure_t) bool {
    fail(context.job.ptr[0..context.job.len]) catch |failed| {
        failure.tag = if (failed == error.Final) host.SOLOIST_JOB_TYPES_FAILURE_FINAL else host.SOLOIST_JOB_TYPES_FAILURE_RETRY;
        failure.val.retry = give(if (failed == error.Final) "never again" else "again, please");
        return false;
    };
    summary.* = give("did not fail");
    return true;
}
