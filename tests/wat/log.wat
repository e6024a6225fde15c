;; Logs the same line until it is stopped.
(component
  (import "soloist:job/log@0.1.0" (instance $log
    (type $level-type (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level-type)))
    (export "log" (func (param "level" $level) (param "message" string)))))

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

  (core func $log (canon lower (func $log "log") (memory (core memory $libc "memory"))))

  (core module $job
    (import "libc" "memory" (memory 1))
    (import "host" "log" (func $log (param i32 i32 i32)))
    (data (i32.const 64) "still here")
    (func (export "run") (param i32 i32 i32 i32 i64 i32 i64 i64 i32 i32 i32) (result i32)
      (loop $again
        (call $log (i32.const 2) (i32.const 64) (i32.const 10))
        (br $again))
      (unreachable)))
  (core instance $job (instantiate $job
    (with "libc" (instance $libc))
    (with "host" (instance (export "log" (func $log))))))

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
