//! The world `soloist:job/base` as the host sees it, generated from `wit/`.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "base",
    imports: { default: async | trappable },
    exports: { default: async },
});
