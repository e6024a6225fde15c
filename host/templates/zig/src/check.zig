//! What the job does, without a host: whoever calls it brings what it needs.

const std = @import("std");

/// An answer to a request.
pub const Response = struct { status: u16, body: []const u8 };

/// How it went, in one line for people.
pub const Outcome = union(enum) {
    /// A summary.
    ok: []const u8,
    /// A failure that another attempt can help.
    retry: []const u8,
    /// A failure that no further attempt can help.
    final: []const u8,
};

/// Holds an answer against what is wanted.
pub fn check(allocator: std.mem.Allocator, url: []const u8, response: Response) !Outcome {
    if (response.status < 200 or response.status > 299) {
        return .{ .retry = try std.fmt.allocPrint(allocator, "{s} answered {d}", .{ url, response.status }) };
    }
    return .{ .ok = try std.fmt.allocPrint(
        allocator,
        "{s} answered {d} with {d} bytes",
        .{ url, response.status, response.body.len },
    ) };
}

test "an answer is summed up" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const outcome = try check(arena.allocator(), "https://example.com/", .{ .status = 200, .body = "hello" });
    try std.testing.expectEqualStrings("https://example.com/ answered 200 with 5 bytes", outcome.ok);
}

test "a service that is down is worth another attempt" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const outcome = try check(arena.allocator(), "https://example.com/", .{ .status = 503, .body = "" });
    try std.testing.expectEqualStrings("https://example.com/ answered 503", outcome.retry);
}
