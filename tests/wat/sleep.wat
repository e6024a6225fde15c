;; Sleeps for an hour in a host call.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

  ;; Memory and allocator come first, so that host functions can be lowered onto them.
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
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
  (core instance $libc (instantiate $libc))

  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))

  (core module $job
    (import "host" "block" (func $block (param i32)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (func (export "run") (param i32 i32 i32 i32 i64 i32 i64 i64 i32 i32 i32) (result i32)
      (call $block (call $subscribe (i64.const 3600000000000)))
      (unreachable)))
  (core instance $job (instantiate $job
    (with "host" (instance (export "block" (func $block)) (export "subscribe" (func $subscribe))))))

  (type $context-type (record
    (field "job" string)
    (field "agent" string)
    (field "round" u64)
    (field "attempt" u32)
    (field "due-ms" u64)
    (field "deadline-ms" u64)
    (field "previous" (option string))))
  (export $context "context" (type $context-type))
  (type $failure-type (variant (case "retry" string) (case "final" string)))
  (export $failure "failure" (type $failure-type))

  (func $run (param "context" $context) (result (result string (error $failure)))
    (canon lift (core func $job "run") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (export "run" (func $run)))
