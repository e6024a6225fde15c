;; Prints to stdout until it is stopped, or with the body that tests put in, to stderr.
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $io-error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $stream-error-type (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-type)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer-stream))
    (export "output-stream" (type $stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $stream))))))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output-stream (type $outer-stream))
    (export "output-stream" (type $stream (eq $outer-stream)))
    (export "get-stderr" (func (result (own $stream))))))

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

  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $get-stderr (canon lower (func $stderr "get-stderr")))

  (core module $job
    (import "libc" "memory" (memory 1))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get-stdout" (func $stdout (result i32)))
    (import "host" "get-stderr" (func $stderr (result i32)))
    (data (i32.const 64) "all work and no play\n")
    (data (i32.const 128) "\nthread 'main' panicked at src/lib.rs:5:9:\nno such thing\nnote: run with it\n")
    (func (export "run") (param i32 i32 i32 i32 i64 i32 i64 i64 i32 i32 i32) (result i32)
      (local $stream i32)
      ;; begin: tests put other behaviour here
      (local.set $stream (call $stdout))
      (loop $again
        (call $write (local.get $stream) (i32.const 64) (i32.const 21) (i32.const 32))
        (br $again))
      (unreachable)
      ;; end
      ))
  (core instance $job (instantiate $job
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "write" (func $write))
      (export "get-stdout" (func $get-stdout))
      (export "get-stderr" (func $get-stderr))))))

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
