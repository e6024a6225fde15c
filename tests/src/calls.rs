//! Components that call the host, as text: imports with their types, and a body for `run` that calls them by name.

use std::fmt::Write as _;

/// An interface that a component imports.
pub struct Import {
    /// Its name: `soloist:job/clock@0.1.0`.
    pub interface: &'static str,
    /// The instance's type, as WebAssembly text: `(export "now-ms" (func (result u64)))`.
    pub text: &'static str,
    /// The functions that the body calls as `$NAME`, each with its type once lowered to the core: `(result i64)`.
    pub functions: &'static [(&'static str, &'static str)],
}

/// A job that imports these. Its memory begins with `data` at 512; `body` leaves the pointer to the result, as in
/// `tests/wat/ok.wat`, whose parameters it has. What the host gives stands from 4096 on.
///
/// # Panics
/// The text cannot be put together, which cannot be.
pub fn component(imports: &[Import], data: &str, body: &str) -> String {
    let mut text = String::from("(component\n");
    let (mut lowered, mut taken, mut given) = (String::new(), String::new(), String::new());
    for (index, import) in imports.iter().enumerate() {
        writeln!(text, "(import \"{}\" (instance $i{index} {}))", import.interface, import.text).expect("text");
        for (name, kind) in import.functions {
            writeln!(
                lowered,
                "(core func ${name} (canon lower (func $i{index} \"{name}\") (memory (core memory $libc \"memory\")) \
                 (realloc (core func $libc \"realloc\"))))"
            )
            .expect("text");
            writeln!(taken, "(import \"host\" \"{name}\" (func ${name} {kind}))").expect("text");
            write!(given, "(export \"{name}\" (func ${name}))").expect("text");
        }
    }
    text + &format!(
        "{LIBC}\n{lowered}
        (core module $job
          (import \"libc\" \"memory\" (memory 1))\n{taken}
          (data (i32.const 512) \"{data}\")
          (func (export \"run\")
            (param $job i32) (param $job_len i32) (param $agent i32) (param $agent_len i32)
            (param $round i64) (param $attempt i32) (param $due_ms i64) (param $deadline_ms i64)
            (param $has_previous i32) (param $previous i32) (param $previous_len i32) (result i32)
            (local $a i32) (local $b i32) (local $t i64) (local $u i64)
            {body}))
        (core instance $job (instantiate $job
          (with \"libc\" (instance $libc)) (with \"host\" (instance {given}))))
        {EXPORTS})"
    )
}

/// Leaves a summary: this many bytes from there.
pub fn summary(from: &str, length: &str) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) {from})
         (i32.store (i32.const 24) {length}) (i32.const 16)"
    )
}

/// Leaves the text at this place as a final failure.
pub fn failure(from: &str, length: &str) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 1))
         (i32.store (i32.const 24) {from}) (i32.store (i32.const 28) {length}) (i32.const 16)"
    )
}

/// Memory and an allocator that never frees. It comes first, so that host functions can be lowered onto it.
const LIBC: &str = r#"(core module $libc
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (if (i32.eq (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))) (i32.const -1))
          (then (unreachable)))))
    (local.get $at)))
(core instance $libc (instantiate $libc))"#;

/// The types of a job, and its `run`.
const EXPORTS: &str = r#"(type $context-type (record
    (field "job" string) (field "agent" string) (field "round" u64) (field "attempt" u32) (field "due-ms" u64)
    (field "deadline-ms" u64) (field "previous" (option string))))
  (export $context "context" (type $context-type))
  (type $failure-type (variant (case "retry" string) (case "final" string)))
  (export $failure "failure" (type $failure-type))
  (func $run (param "context" $context) (result (result string (error $failure)))
    (canon lift (core func $job "run") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (export "run" (func $run))"#;
