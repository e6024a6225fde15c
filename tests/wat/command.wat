;; A program for WASI preview 1, as compilers make it of a `main`: prints its arguments and its environment, a line each, then
;; `done`. Imports nothing else.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "done\n")
  (data (i32.const 128) "no such thing\n")
  (data (i32.const 192) "panic: no such thing\n\ngoroutine 1 [running]:\nmain.check(...)\n\t/src/main.go:12\n")

  (func $print (param $stream i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 16) (local.get $at))
    (i32.store (i32.const 20) (local.get $length))
    (drop (call $fd_write (local.get $stream) (i32.const 16) (i32.const 1) (i32.const 24))))

  ;; Prints texts that follow each other, each with a zero byte at its end.
  (func $print_lines (param $at i32) (param $length i32)
    (local $index i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $index) (local.get $length)))
        (if (i32.eqz (i32.load8_u (i32.add (local.get $at) (local.get $index))))
          (then (i32.store8 (i32.add (local.get $at) (local.get $index)) (i32.const 10))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next)))
    (call $print (i32.const 1) (local.get $at) (local.get $length)))

  (func $careless (unreachable))

  (func $main (export "_start")
    ;; Sizes at 0 and 4, pointers from 4096, texts from 65536 and 131072.
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_get (i32.const 4096) (i32.const 65536)))
    (call $print_lines (i32.const 65536) (i32.load (i32.const 4)))
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 4096) (i32.const 131072)))
    (call $print_lines (i32.const 131072) (i32.load (i32.const 4)))
    (call $print (i32.const 1) (i32.const 64) (i32.const 5))
    ;; begin: tests put other behaviour here
    ;; end
    ))
