//! What the host calls, and what the job asks of the host. The work itself is in `check.zig`, where tests reach it.

const std = @import("std");
const check = @import("check.zig");
const soloist = @import("soloist.zig");

/// A module's memory is one run's, so that nothing needs to be given back.
const allocator = std.heap.wasm_allocator;

comptime {
    soloist.exportJob(run);
}

/// Does the job once.
fn run(context: soloist.Context) !check.Outcome {
    const url = soloist.setting("url") orelse return .{ .final = "the setting `url` is missing" };
    soloist.log(.info, try std.fmt.allocPrint(
        allocator,
        "round {d}, attempt {d}: asking {s}",
        .{ context.round, context.attempt, url },
    ));
    return switch (soloist.get(url)) {
        .ok => |response| check.check(allocator, url, response),
        .denied, .invalid => |reason| .{ .final = reason },
        .timeout => .{ .retry = "no complete answer in time" },
        .too_large, .failed => |reason| .{ .retry = reason },
    };
}
