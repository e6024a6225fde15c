//! Asks all name servers of a zone which version of it they serve, and tells Slack when they differ for long.

const std = @import("std");
const host = @import("host");
const zone = @import("zone.zig");

/// What the job allocates lives as long as its run, but for what the bindings free with `free`: the summary and the reason.
const allocator = std.heap.c_allocator;

/// `[job.NAME.config]`.
const Settings = struct {
    zone: []const u8,
    channel: []const u8,
    /// The servers to ask; those that the zone itself names unless set.
    servers: []const []const u8 = &.{},
    /// Seconds for which servers may differ before that is told.
    patience: u32 = 300,
    /// Milliseconds for one answer.
    timeout: u32 = 2000,
};

const Failed = error{ Final, Retry, OutOfMemory, WriteFailed };

/// Why the run failed, for people.
var reason: []const u8 = "";

fn fail(failed: Failed, comptime format: []const u8, arguments: anytype) Failed {
    reason = try std.fmt.allocPrint(allocator, format, arguments);
    return failed;
}

fn toHost(text: []const u8) host.job_string_t {
    return .{ .ptr = @constCast(text.ptr), .len = text.len };
}

fn fromHost(text: host.job_string_t) []const u8 {
    return if (text.len == 0) "" else text.ptr[0..text.len];
}

fn settings() Failed!Settings {
    var text: host.job_string_t = undefined;
    host.soloist_job_config_json(&text);
    return std.json.parseFromSliceLeaky(Settings, allocator, fromHost(text), .{}) catch |problem| switch (problem) {
        error.OutOfMemory => error.OutOfMemory,
        error.UnknownField => fail(error.Final, "a setting is unknown: there are `zone`, `channel`, `servers`, `patience` and `timeout`", .{}),
        error.MissingField => fail(error.Final, "the settings `zone` and `channel` must be set", .{}),
        else => fail(error.Final, "a setting is of the wrong kind ({t})", .{problem}),
    };
}

/// The servers that the zone names.
fn nameServers(name: []const u8) Failed![]const []const u8 {
    var asked = toHost(name);
    var kind = toHost("NS");
    var answer: host.soloist_job_dns_answer_t = undefined;
    var problem: host.soloist_job_dns_error_t = undefined;
    if (!host.soloist_job_dns_lookup(&asked, &kind, &answer, &problem)) {
        const is_final = problem.tag == host.SOLOIST_JOB_DNS_ERROR_DENIED or problem.tag == host.SOLOIST_JOB_DNS_ERROR_INVALID;
        return fail(if (is_final) error.Final else error.Retry, "the name servers of `{s}`: {s}", .{ name, trouble(problem) });
    }
    var servers: std.ArrayList([]const u8) = .empty;
    if (answer.records.len > 0) for (answer.records.ptr[0..answer.records.len]) |record| {
        if (!std.mem.eql(u8, fromHost(record.rtype), "NS")) continue;
        try servers.append(allocator, std.mem.trimEnd(u8, fromHost(record.data), "."));
    };
    if (servers.items.len == 0) return fail(error.Retry, "`{s}` has no name servers: {s}", .{ name, fromHost(answer.rcode) });
    return servers.items;
}

fn trouble(of: host.soloist_job_dns_error_t) []const u8 {
    return switch (of.tag) {
        host.SOLOIST_JOB_DNS_ERROR_TIMEOUT => "no answer in time",
        host.SOLOIST_JOB_DNS_ERROR_DENIED => fromHost(of.val.denied),
        host.SOLOIST_JOB_DNS_ERROR_INVALID => fromHost(of.val.invalid),
        else => fromHost(of.val.failed),
    };
}

/// Asks all servers at once for the zone's SOA record.
fn ask(set: Settings, servers: []const []const u8) Failed![]const zone.View {
    const names = try allocator.alloc(host.job_string_t, servers.len);
    for (names, servers) |*name, server| name.* = toHost(server);
    var asked = toHost(set.zone);
    var kind = toHost("SOA");
    var list: host.job_list_string_t = .{ .ptr = names.ptr, .len = names.len };
    var timeout = set.timeout;
    var replies: host.soloist_job_dns_list_reply_t = undefined;
    host.soloist_job_dns_ask(&asked, &kind, &list, &timeout, &replies);

    var views: std.ArrayList(zone.View) = .empty;
    if (replies.len > 0) for (replies.ptr[0..replies.len]) |reply| {
        const said: @FieldType(zone.View, "said") = if (!reply.answer.is_err)
            serial(reply.answer.val.ok)
        else if (reply.answer.val.err.tag == host.SOLOIST_JOB_DNS_ERROR_DENIED)
            return fail(error.Final, "{s}", .{trouble(reply.answer.val.err)})
        else
            .{ .trouble = trouble(reply.answer.val.err) };
        try views.append(allocator, .{ .server = fromHost(reply.server), .said = said });
    };
    return views.items;
}

fn serial(answer: host.soloist_job_dns_answer_t) @FieldType(zone.View, "said") {
    const rcode = fromHost(answer.rcode);
    if (!std.mem.eql(u8, rcode, "NOERROR")) return .{ .trouble = rcode };
    if (!answer.authoritative) return .{ .trouble = "it has no authority for the zone" };
    if (answer.records.len > 0) for (answer.records.ptr[0..answer.records.len]) |record| {
        if (!std.mem.eql(u8, fromHost(record.rtype), "SOA")) continue;
        if (zone.serialOf(fromHost(record.data))) |found| return .{ .serial = found };
    };
    return .{ .trouble = "it has no SOA record" };
}

fn tell(channel: []const u8, text: []const u8) Failed!void {
    var message: host.soloist_job_slack_message_t = std.mem.zeroes(host.soloist_job_slack_message_t);
    message.channel = toHost(channel);
    message.text = toHost(text);
    var posted: host.soloist_job_slack_option_posted_t = undefined;
    var problem: host.soloist_job_slack_error_t = undefined;
    if (host.soloist_job_slack_post(&message, &posted, &problem)) return;
    return switch (problem.tag) {
        host.SOLOIST_JOB_SLACK_ERROR_RATE_LIMITED => fail(error.Retry, "Slack asks to wait {d} s", .{problem.val.rate_limited}),
        host.SOLOIST_JOB_SLACK_ERROR_UNAVAILABLE => fail(error.Retry, "{s} could not be told: {s}", .{ channel, fromHost(problem.val.unavailable) }),
        host.SOLOIST_JOB_SLACK_ERROR_REJECTED => fail(error.Final, "Slack refused the message to {s}: {s}", .{ channel, fromHost(problem.val.rejected) }),
        else => fail(error.Final, "{s}", .{fromHost(problem.val.denied)}),
    };
}

fn recall() zone.Memory {
    var text: host.job_string_t = undefined;
    return if (host.soloist_job_state_get(&text)) .read(fromHost(text)) else .{};
}

fn remember(memory: zone.Memory) Failed!void {
    var buffer: [32]u8 = undefined;
    var text: host.job_string_t = undefined;
    var problem: host.soloist_job_state_error_t = undefined;
    if (memory.write(&buffer)) |written| text = toHost(written);
    const kept = host.soloist_job_state_set(if (memory.since_ms == null) null else &text, &problem);
    if (!kept) return fail(error.Final, "what is to be remembered does not fit", .{});
}

fn run(context: *const host.job_context_t) Failed![]const u8 {
    const set = try settings();
    const servers = if (set.servers.len > 0) set.servers else try nameServers(set.zone);
    const views = try ask(set, servers);
    const late = zone.behind(views);

    const news, const after = zone.step(recall(), late > 0, context.due_ms, @as(u64, set.patience) * 1000);
    if (news != .nothing) try tell(set.channel, try zone.message(allocator, set.zone, views, news));
    try remember(after);

    const told = if (news == .nothing) "" else try std.fmt.allocPrint(allocator, "; told {s}", .{set.channel});
    return if (late == 0)
        std.fmt.allocPrint(allocator, "{d} servers serve {d}{s}", .{ views.len, zone.newest(views).?, told })
    else
        std.fmt.allocPrint(allocator, "{d} of {d} servers are behind{s}", .{ late, views.len, told });
}

export fn exports_job_run(context: *host.job_context_t, summary: *host.job_string_t, failure: *host.job_failure_t) bool {
    const text = run(context) catch |failed| {
        failure.tag = switch (failed) {
            error.Final => host.SOLOIST_JOB_TYPES_FAILURE_FINAL,
            error.Retry => host.SOLOIST_JOB_TYPES_FAILURE_RETRY,
            error.OutOfMemory, error.WriteFailed => @panic("out of memory"),
        };
        failure.val.retry = toHost(reason);
        return false;
    };
    summary.* = toHost(text);
    return true;
}
