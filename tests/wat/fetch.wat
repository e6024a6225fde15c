;; Gets the URL in its setting `url` and gives the body as its summary, or the error's text as a final failure.
(component
  (import "soloist:job/config@0.1.0" (instance $config
    (export "get" (func (param "key" string) (result (option string))))))
  (import "soloist:job/http@0.1.0" (instance $http
    (type $request-type (record
      (field "method" string)
      (field "url" string)
      (field "headers" (list (tuple string string)))
      (field "body" (list u8))
      (field "timeout-ms" (option u32))))
    (export "request" (type $request (eq $request-type)))
    (type $response-type (record
      (field "status" u16)
      (field "headers" (list (tuple string string)))
      (field "body" (list u8))
      (field "url" string)))
    (export "response" (type $response (eq $response-type)))
    (type $error-type (variant
      (case "denied" string)
      (case "invalid" string)
      (case "timeout")
      (case "too-large" string)
      (case "failed" string)))
    (export "error" (type $error (eq $error-type)))
    (export "fetch" (func (param "request" $request) (result (result $response (error $error)))))))

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

  (core func $get (canon lower (func $config "get") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $fetch (canon lower (func $http "fetch") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))

  (core module $job
    (import "libc" "memory" (memory 1))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (data (i32.const 512) "url")
    (data (i32.const 520) "GET")
    (func (export "run") (param i32 i32 i32 i32 i64 i32 i64 i64 i32 i32 i32) (result i32)
      ;; option<string> at 32: a tag, from 36 pointer and length.
      (call $get (i32.const 512) (i32.const 3) (i32.const 32))
      ;; result<response, error> at 64: a tag; the response's body from 80, or the error's tag at 68 and its text from 72.
      (call $fetch
        (i32.const 520) (i32.const 3)
        (i32.load (i32.const 36)) (i32.load (i32.const 40))
        (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0)
        (i32.const 64))
      (i32.store8 (i32.const 16) (i32.load8_u (i32.const 64)))
      (if (i32.load8_u (i32.const 64))
        (then
          (i32.store8 (i32.const 20) (i32.const 1))  ;; final
          (i32.store (i32.const 24) (i32.load (i32.const 72)))
          (i32.store (i32.const 28)
            (select (i32.const 0) (i32.load (i32.const 76)) (i32.eq (i32.load8_u (i32.const 68)) (i32.const 2)))))
        (else
          (i32.store (i32.const 20) (i32.load (i32.const 80)))
          (i32.store (i32.const 24) (i32.load (i32.const 84)))))
      (i32.const 16)))
  (core instance $job (instantiate $job
    (with "libc" (instance $libc))
    (with "host" (instance (export "get" (func $get)) (export "fetch" (func $fetch))))))

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
