//! The world `soloist:job/job` as the host sees it, generated from `wit/job.wit`.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "job",
    imports: { default: async | trappable },
    exports: { default: async },
});
