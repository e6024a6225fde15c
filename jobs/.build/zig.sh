# shellcheck shell=bash
# Zig, for jobs/build. At first it builds its C library for WASI, too: some seconds.

# The command: a package of Python's has it under another name.
zig_command() {
    command -v zig || command -v python-zig
}

# build_zig NAME FOLDER
build_zig() {
    local zig
    zig=$(zig_command) ||
        die "\`zig\` is missing" "Zig $(required ziglang): https://ziglang.org/download/, or: pip install ziglang==$(required ziglang)"
    (cd "$2" && "$zig" build)
    place "$2/zig-out/bin/$1.wasm" "$out/$1.wasm"
}
