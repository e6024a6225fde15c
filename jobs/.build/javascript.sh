# shellcheck shell=bash
# JavaScript and TypeScript, for jobs/build: componentize-js puts an engine and the source into a component.

# The packages of package-lock.json, of the versions that it names.
need_packages() {
    command -v node >/dev/null || die "\`node\` is missing" "Node.js 20 or later: https://nodejs.org, or on Debian: apt-get install nodejs npm"
    local package
    for package in "$@"; do
        [[ -d node_modules/$package ]] ||
            die "the package \`$package\` is missing" "install what the jobs in JavaScript and TypeScript need: (cd jobs && npm ci)"
    done
}

# componentize SOURCE NAME FOLDER: without what the host is asked for by `soloist:job/http`, so that `http` is no grant that
# every job needs.
componentize() {
    local world
    world=$(world_of "$3")
    node node_modules/@bytecodealliance/componentize-js/src/cli.js "$1" --wit "$3/wit" --world-name "$world" \
        --out "$out/.$2.wasm" --disable http fetch-event
    place "$out/.$2.wasm" "$out/$2.wasm"
    rm "$out/.$2.wasm"
}

# The world that a folder's WIT describes.
world_of() {
    sed -n 's/^world \([a-z0-9-]*\) {.*/\1/p' "$1/wit/world.wit"
}

# build_javascript NAME FOLDER
build_javascript() {
    need_packages @bytecodealliance/componentize-js
    componentize "$2/src/job.js" "$1" "$2"
}

# build_typescript NAME FOLDER
build_typescript() {
    need_packages @bytecodealliance/componentize-js typescript
    node_modules/.bin/tsc --project "$2"
    componentize "$2/built/src/job.js" "$1" "$2"
}
