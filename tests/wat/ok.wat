;; The smallest job: returns a fixed summary and imports nothing.
;;
;; `run` takes the record `context`, flattened by the canonical ABI into eleven values, and returns a pointer to a
;; `result<string, failure>`: a tag (0 ok, 1 error) in the first byte, then from offset 4 the ok string's pointer and
;; length, or the failure's tag (0 retry, 1 final) and from offset 8 its string's pointer and length.
(component
  (core module $job
    (memory (export "memory") 1)
    (data (i32.const 64) "all is well")

    ;; The host asks for room for the context's strings: a bump allocator that never frees, as the store ends with the run.
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
      (local.get $at))

    (func (export "run")
      (param $job i32) (param $job_len i32)
      (param $agent i32) (param $agent_len i32)
      (param $round i64) (param $attempt i32) (param $due_ms i64) (param $deadline_ms i64)
      (param $has_previous i32) (param $previous i32) (param $previous_len i32)
      (result i32)
      ;; begin: tests put other behaviour here
      (i32.store8 (i32.const 16) (i32.const 0))   ;; ok
      (i32.store (i32.const 20) (i32.const 64))   ;; the summary
      (i32.store (i32.const 24) (i32.const 11))   ;; its length
      (i32.const 16)
      ;; end
      ))

  (core instance $job (instantiate $job))

  ;; A named type that an exported function uses must be exported itself.
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
    (canon lift (core func $job "run") (memory (core memory $job "memory")) (realloc (core func $job "realloc"))))
  (export "run" (func $run)))
