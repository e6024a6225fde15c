//! Whether a zone's name servers serve the same version, and whether that is worth telling. Knows no host.

const std = @import("std");

/// What one server said.
pub const View = struct {
    server: []const u8,
    said: union(enum) {
        /// The serial of its SOA record.
        serial: u32,
        /// Why there is none.
        trouble: []const u8,
    },
};

/// The serial in the data of a SOA record (RFC 1035, section 3.3.13): `ns1.example.com. admin.example.com. 7 3600 …`.
pub fn serialOf(data: []const u8) ?u32 {
    var fields = std.mem.tokenizeAny(u8, data, " \t");
    _ = fields.next();
    _ = fields.next();
    return std.fmt.parseInt(u32, fields.next() orelse return null, 10) catch null;
}

/// Whether a serial is newer than another: they go round (RFC 1982, section 3.2).
pub fn isNewer(serial: u32, than: u32) bool {
    const distance = serial -% than;
    return distance != 0 and distance < 1 << 31;
}

/// The newest serial that anybody serves.
pub fn newest(views: []const View) ?u32 {
    var found: ?u32 = null;
    for (views) |view| switch (view.said) {
        .serial => |serial| if (found == null or isNewer(serial, found.?)) {
            found = serial;
        },
        .trouble => {},
    };
    return found;
}

/// How many servers do not serve the newest version.
pub fn behind(views: []const View) usize {
    const newest_serial = newest(views);
    var count: usize = 0;
    for (views) |view| switch (view.said) {
        .serial => |serial| {
            if (serial != newest_serial.?) count += 1;
        },
        .trouble => count += 1,
    };
    return count;
}

/// What is remembered from run to run: since when the servers differ, and whether that was told.
pub const Memory = struct {
    /// Milliseconds since the Unix epoch; none while they agree.
    since_ms: ?u64 = null,
    told: bool = false,

    /// Reads what `write` wrote. Anything else is nothing.
    pub fn read(text: []const u8) Memory {
        var fields = std.mem.tokenizeScalar(u8, text, ' ');
        const since = std.fmt.parseInt(u64, fields.next() orelse return .{}, 10) catch return .{};
        return .{ .since_ms = since, .told = std.mem.eql(u8, fields.next() orelse "", "told") };
    }

    /// The text for the job's state; none when there is nothing to remember.
    pub fn write(memory: Memory, buffer: *[32]u8) ?[]const u8 {
        const since = memory.since_ms orelse return null;
        return std.fmt.bufPrint(buffer, "{d}{s}", .{ since, if (memory.told) " told" else "" }) catch unreachable;
    }
};

/// What is to be told now.
pub const News = enum { nothing, differ, agree };

/// A zone's servers differ for a moment after each change, so that is told only when it lasts.
pub fn step(before: Memory, differs: bool, now_ms: u64, patience_ms: u64) struct { News, Memory } {
    if (!differs) return .{ if (before.told) .agree else .nothing, .{} };
    const since = before.since_ms orelse now_ms;
    const is_due = !before.told and now_ms -| since >= patience_ms;
    return .{ if (is_due) .differ else .nothing, .{ .since_ms = since, .told = before.told or is_due } };
}

/// What Slack is told.
pub fn message(allocator: std.mem.Allocator, zone: []const u8, views: []const View, news: News) ![]const u8 {
    var text: std.Io.Writer.Allocating = .init(allocator);
    const out = &text.writer;
    const newest_serial = newest(views);
    if (news == .agree) {
        try out.print(":white_check_mark: all {d} name servers of *{s}* serve {d} again", .{ views.len, zone, newest_serial.? });
        return text.toOwnedSlice();
    }
    try out.print(":warning: {d} of {d} name servers of *{s}* are behind", .{ behind(views), views.len, zone });
    if (newest_serial) |serial| try out.print("; the newest version is {d}", .{serial});
    for (views) |view| switch (view.said) {
        .serial => |serial| if (serial != newest_serial.?) {
            try out.print("\n• {s} serves {d}", .{ view.server, serial });
        },
        .trouble => |trouble| {
            try out.print("\n• {s}: ", .{view.server});
            try escape(out, trouble);
        },
    };
    return text.toOwnedSlice();
}

/// Writes what came from outside so that Slack takes it for no markup (`<!channel>`).
fn escape(out: *std.Io.Writer, text: []const u8) !void {
    for (text) |byte| switch (byte) {
        '&' => try out.writeAll("&amp;"),
        '<' => try out.writeAll("&lt;"),
        '>' => try out.writeAll("&gt;"),
        else => try out.writeByte(byte),
    };
}

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

test "the serial is the third field" {
    try expectEqual(2026070101, serialOf("ns1.example.com. admin.example.com. 2026070101 3600 600 86400 300"));
    try expectEqual(null, serialOf("ns1.example.com. admin.example.com."));
    try expectEqual(null, serialOf("a b 4294967296"));
}

test "serials go round" {
    try expect(isNewer(2, 1));
    try expect(!isNewer(1, 1));
    try expect(!isNewer(1, 2));
    try expect(isNewer(5, 4294967290));
    try expect(!isNewer(4294967290, 5));
}

const seen = [_]View{
    .{ .server = "ns1", .said = .{ .serial = 4294967295 } },
    .{ .server = "ns2", .said = .{ .serial = 3 } },
    .{ .server = "ns3", .said = .{ .trouble = "<!channel>" } },
};

test "the newest is found, and who is behind" {
    try expectEqual(3, newest(&seen));
    try expectEqual(2, behind(&seen));
    try expectEqual(0, behind(seen[1..2]));
    try expectEqual(null, newest(seen[2..]));
    try expectEqual(1, behind(seen[2..]));
}

test "a difference is told when it lasts, once, and its end" {
    var memory: Memory = .{};
    var buffer: [32]u8 = undefined;
    const rounds = [_]struct { bool, u64, News }{
        .{ false, 0, .nothing }, .{ true, 100, .nothing }, .{ true, 199, .nothing }, .{ true, 200, .differ },
        .{ true, 900, .nothing }, .{ false, 950, .agree },  .{ false, 960, .nothing }, .{ true, 970, .nothing },
        .{ false, 980, .nothing },
    };
    for (rounds) |round| {
        const differs, const now, const expected = round;
        const news, const after = step(memory, differs, now, 100);
        try expectEqual(expected, news);
        memory = Memory.read(after.write(&buffer) orelse "");
        try expectEqual(after, memory);
    }
}

test "a clock that was put back tells nothing early" {
    const news, _ = step(.{ .since_ms = 1000 }, true, 10, 100);
    try expectEqual(.nothing, news);
}

test "what cannot be read was never remembered" {
    try expectEqual(Memory{}, Memory.read(""));
    try expectEqual(Memory{}, Memory.read("soon told"));
}

test "a message names each server that is behind" {
    const allocator = std.testing.allocator;
    const differ = try message(allocator, "example.com", &seen, .differ);
    defer allocator.free(differ);
    try expectEqualStrings(
        ":warning: 2 of 3 name servers of *example.com* are behind; the newest version is 3\n" ++
            "• ns1 serves 4294967295\n• ns3: &lt;!channel&gt;",
        differ,
    );
    const agree = try message(allocator, "example.com", seen[1..2], .agree);
    defer allocator.free(agree);
    try expectEqualStrings(":white_check_mark: all 1 name servers of *example.com* serve 3 again", agree);
}
