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

/// Changes of RRsets.
pub const UPDATE: Import = Import {
    interface: "soloist:job/dns-update@0.1.0",
    text: r#"(type $set-type (record (field "name" string) (field "rtype" string) (field "ttl" u32)
               (field "data" (list string))))
             (export "rrset" (type $set (eq $set-type)))
             (type $error-type (variant (case "denied" string) (case "invalid" string) (case "refused" string)
               (case "unavailable" string)))
             (export "error" (type $error (eq $error-type)))
             (export "replace" (func (param "rrsets" (list $set)) (result (result (error $error)))))"#,
    functions: &[("replace", "(param i32 i32 i32)")],
};

/// A job that gives `name` the address 192.0.2.7 for 300 seconds; its summary is the name, or it fails with what was said.
pub fn set_address(name: &str) -> String {
    let length = name.len();
    // One RRset at 600: name, type, TTL and a list of one text, which stands at 640.
    let body = format!(
        "(i32.store (i32.const 600) (i32.const 512)) (i32.store (i32.const 604) (i32.const {length}))
         (i32.store (i32.const 608) (i32.const {rtype})) (i32.store (i32.const 612) (i32.const 1))
         (i32.store (i32.const 616) (i32.const 300))
         (i32.store (i32.const 620) (i32.const 640)) (i32.store (i32.const 624) (i32.const 1))
         (i32.store (i32.const 640) (i32.const {address})) (i32.store (i32.const 644) (i32.const 9))
         (call $replace (i32.const 600) (i32.const 1) (i32.const 32))
         (if (result i32) (i32.load8_u (i32.const 32))
           (then {}) (else {}))",
        failure("(i32.load (i32.const 40))", "(i32.load (i32.const 44))"),
        summary("(i32.const 512)", &format!("(i32.const {length})")),
        rtype = 512 + length,
        address = 513 + length,
    );
    component(&[UPDATE], &format!("{name}A192.0.2.7"), &body)
}

/// Placeholders of secrets.
pub const SECRETS: Import = Import {
    interface: "soloist:job/secrets@0.1.0",
    text: r#"(type $error-type (variant (case "denied" string)))
             (export "error" (type $error (eq $error-type)))
             (export "get" (func (param "name" string) (result (result string (error $error)))))"#,
    functions: &[("get", "(param i32 i32 i32)")],
};

/// Requests.
pub const HTTP: Import = Import {
    interface: "soloist:job/http@0.1.0",
    text: r#"(type $request-type (record (field "method" string) (field "url" string)
               (field "headers" (list (tuple string string))) (field "body" (list u8)) (field "timeout-ms" (option u32))))
             (export "request" (type $request (eq $request-type)))
             (type $response-type (record (field "status" u16) (field "headers" (list (tuple string string)))
               (field "body" (list u8)) (field "url" string)))
             (export "response" (type $response (eq $response-type)))
             (type $error-type (variant (case "denied" string) (case "invalid" string) (case "timeout")
               (case "too-large" string) (case "failed" string)))
             (export "error" (type $error (eq $error-type)))
             (export "fetch" (func (param "request" $request) (result (result $response (error $error)))))"#,
    functions: &[("fetch", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)")],
};

/// A job that posts a secret to `url`; its summary is the answer's body, or it fails with what was said.
pub fn send_secret(name: &str, url: &str) -> String {
    let (name_length, url_length) = (name.len(), url.len());
    let body = format!(
        "(call $get (i32.const 512) (i32.const {name_length}) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then (unreachable)))
         (call $fetch
           (i32.const {method}) (i32.const 4) (i32.const {address}) (i32.const {url_length}) (i32.const 0) (i32.const 0)
           (i32.load (i32.const 36)) (i32.load (i32.const 40)) (i32.const 0) (i32.const 0) (i32.const 64))
         (if (result i32) (i32.load8_u (i32.const 64))
           (then {}) (else {}))",
        failure("(i32.load (i32.const 72))", "(i32.load (i32.const 76))"),
        summary("(i32.load (i32.const 80))", "(i32.load (i32.const 84))"),
        method = 512 + name_length,
        address = 516 + name_length,
    );
    component(&[SECRETS, HTTP], &format!("{name}POST{url}"), &body)
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
