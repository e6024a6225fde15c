# shellcheck shell=bash
# C, for jobs/build: make, with clang and a C library for WASI, or else with zig, which is both.

# Sets `wasm_cc`: a compiler for wasm32-wasi, and its options.
choose_c_compiler() {
    local builtins
    builtins=$(clang-22 --print-resource-dir 2>/dev/null)/lib/wasi/libclang_rt.builtins-wasm32.a
    if [[ -f $builtins && -x /usr/bin/wasm-ld-22 && -f /usr/lib/wasm32-wasi/libc.a ]]; then
        wasm_cc="clang-22 --target=wasm32-wasi --sysroot=/usr -fuse-ld=/usr/bin/wasm-ld-22"
    elif zig=$(zig_command); then
        wasm_cc="$zig cc -target wasm32-wasi"
    else
        die "there is no C compiler here for wasm32-wasi" \
            "on Debian: apt-get install clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32" \
            "or Zig, which is one: https://ziglang.org/download/, or: pip install ziglang==$(required ziglang)"
    fi
}

# build_c NAME FOLDER
build_c() {
    command -v make >/dev/null || die "\`make\` is missing" "on Debian: apt-get install make"
    if [[ -z ${wasm_cc+set} ]]; then choose_c_compiler; fi
    make --silent -C "$2" "WASM_CC=$wasm_cc"
    place "$2/built/$1.wasm" "$out/$1.wasm"
}
