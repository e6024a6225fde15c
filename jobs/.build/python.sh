# shellcheck shell=bash
# Python, for jobs/build: componentize-py puts CPython and the source into a component.

# build_python NAME FOLDER
build_python() {
    command -v componentize-py >/dev/null ||
        die "\`componentize-py\` is missing" "pip install componentize-py==$(required componentize-py)"
    local world
    world=$(world_of "$2")
    # It looks for the app where it is started.
    (cd "$2" && componentize-py --quiet --wit-path wit --world "$world" componentize app --output "$out/.$1.wasm")
    place "$out/.$1.wasm" "$out/$1.wasm"
    rm "$out/.$1.wasm"
}

# The version of a tool that these jobs are tested with.
required() {
    sed -n "s/^$1==//p" requirements.txt
}
