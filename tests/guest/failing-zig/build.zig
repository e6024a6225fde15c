const std = @import("std");

pub fn build(b: *std.Build) void {
    const bindings = b.path("../../../guest-sdk/c");
    const wasi = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .wasi });

    const host = b.addTranslateC(.{
        .root_source_file = bindings.path(b, "job.h"),
        .target = wasi,
        .optimize = .ReleaseSmall,
    });
    const module = b.addExecutable(.{
        .name = "failing-zig",
        .root_module = b.createModule(.{
            .root_source_file = b.path("src/job.zig"),
            .target = wasi,
            // With checks: a mistake is a panic that says what happened.
            .optimize = .ReleaseSafe,
            .link_libc = true,
            .imports = &.{.{ .name = "host", .module = host.createModule() }},
        }),
    });
    module.root_module.addCSourceFile(.{ .file = bindings.path(b, "job.c") });
    module.root_module.addObjectFile(bindings.path(b, "job_component_type.o"));
    module.wasi_exec_model = .reactor;
    module.rdynamic = true;
    b.installArtifact(module);

}
