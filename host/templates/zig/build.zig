const std = @import("std");

pub fn build(b: *std.Build) void {
    const wasm = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .freestanding });
    const module = b.addExecutable(.{
        .name = "{{name}}",
        .root_module = b.createModule(.{
            .root_source_file = b.path("src/job.zig"),
            .target = wasm,
            .optimize = .ReleaseSmall,
        }),
    });
    // The host calls what is exported; there is no `main`.
    module.entry = .disabled;
    module.rdynamic = true;
    b.installArtifact(module);

    const tests = b.addTest(.{
        .root_module = b.createModule(.{
            .root_source_file = b.path("src/check.zig"),
            .target = b.graph.host,
        }),
    });
    b.step("test", "Test the job's logic on this machine").dependOn(&b.addRunArtifact(tests).step);
}
