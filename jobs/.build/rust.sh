# shellcheck shell=bash
# Rust, for jobs/build.
#
# With a rustc that has the target wasm32-wasip2 (`rustup target add wasm32-wasip2`) it is plain cargo. Without, Debian's
# packages of Rust, with which the standard library is built here as well: about 95 s at first, 2 s afterwards.

readonly target=wasm32-wasip2
# One for all packages, so that what they share is built once.
readonly build=$out/.target

has_target() {
    local directory
    directory=$("$1" --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$directory/libstd-*.rlib" >/dev/null
}

# The first of these paths that is an executable file.
first_executable() {
    local path
    for path in "$@"; do
        if [[ -f $path && -x $path ]]; then
            echo "$path"
            return
        fi
    done
    return 1
}

# Sets `cargo`, the command and its options, and exports what it needs.
choose_toolchain() {
    # Either would replace the flags below.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    if command -v rustc cargo >/dev/null && has_target rustc; then
        cargo=(cargo build)
        return
    fi

    local on_debian="on Debian: apt-get install rustc-web cargo-web rust-web-src lld-22 wasi-libc"
    local hints=("with rustup: rustup target add $target" "$on_debian")
    local problem="no Rust compiler here can build for $target"
    [[ -x /usr/bin/rustc && -x /usr/bin/cargo ]] || die "$problem" "${hints[@]}"
    export RUSTC=/usr/bin/rustc
    if has_target "$RUSTC"; then
        cargo=(/usr/bin/cargo build)
        return
    fi

    local sysroot
    sysroot=$("$RUSTC" --print sysroot)
    [[ -f $sysroot/lib/rustlib/src/rust/library/std/Cargo.toml ]] ||
        die "$problem: the sources of the standard library of $RUSTC are missing" "${hints[@]}"
    [[ -f /usr/lib/wasm32-wasi/libc.a ]] || die "$problem: the C library for WASI is missing" "${hints[@]}"

    # Debian has no wasm-component-ld; every toolchain of rustup's does, with the target or without.
    local host folder linker wasm_ld
    host=$("$RUSTC" -vV | sed -n 's/^host: //p')
    folder=lib/rustlib/$host/bin
    local sysroots=()
    if command -v rustc >/dev/null; then sysroots+=("$(rustc --print sysroot)"); fi
    sysroots+=("${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*)
    linker=$(first_executable "${sysroots[@]/%//$folder/wasm-component-ld}" "$(command -v wasm-component-ld)") ||
        die "$problem: \`wasm-component-ld\` is missing" \
            "it is part of every Rust toolchain of rustup; or: cargo install wasm-component-ld"
    wasm_ld=$(first_executable /usr/bin/wasm-ld-22 "${sysroots[@]/%//$folder/gcc-ld/wasm-ld}" "$(command -v wasm-ld)") ||
        die "$problem: \`wasm-ld\` is missing" "$on_debian"

    export RUSTC_BOOTSTRAP=1 # for -Zbuild-std
    export CARGO_TARGET_WASM32_WASIP2_LINKER=$linker
    export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-Clink-self-contained=no -Lnative=/usr/lib/wasm32-wasi \
-Clink-arg=/usr/lib/wasm32-wasi/crt1-reactor.o -Clink-arg=--wasm-ld-path=$wasm_ld"
    cargo=(/usr/bin/cargo build -Zbuild-std=std,panic_abort)
    printf 'jobs/build: %s, with the standard library built here\n' "$("$RUSTC" --version)" >&2
}

# build_rust NAME FOLDER: a cargo package of that name.
build_rust() {
    if [[ -z ${cargo+set} ]]; then choose_toolchain; fi
    "${cargo[@]}" --release --target "$target" --target-dir "$build" --manifest-path "$2/Cargo.toml"
    place "$build/$target/release/${1//-/_}.wasm" "$out/$1.wasm"
}
