;; A Soloist job in WebAssembly text: it says hello. No toolchain is needed: an agent compiles this file when it loads it,
;; and again, for the next round, whenever it changes.
;;
;; Change the message and save:

(component
  ;; What the job uses of the host: a clock to wait by, which every job may have.
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core func $timer (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))

  (core module $job
    (import "host" "timer" (func $timer (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (memory (export "memory") 3)

    ;; ┌─ Edit me. `%` becomes the number of the round.
    (data (i32.const 0x10000) "Hello from round %")

    ;; ┌─ And me: for how long the job works, in nanoseconds. Time enough to kill its agent in the middle.
    (global $work i64 (i64.const 2_000_000_000))

    ;; Memory is three pages of 64 KiB: what the host hands over, the message above, the summary made of it. Memory that
    ;; no `data` fills holds zeros, so a zero byte ends the message and its length is counted nowhere.
    (global $free    (mut i32) (i32.const 0))        ;; where the next bytes from the host go
    (global $message i32       (i32.const 0x10000))
    (global $summary i32       (i32.const 0x20010))  ;; behind 16 bytes for the result
    (global $result  i32       (i32.const 0x20000))
    (global $end     i32       (i32.const 0x30000))
    (global $out     (mut i32) (i32.const 0))        ;; where the next byte of the summary goes

    ;; The host asks for room for the strings of the context: the next bytes, aligned. What is longer than its page traps.
    (func (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at                                 ;; (free + align - 1) & -align
        (i32.and
          (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $free) (global.get $message)) (then unreachable))
      (local.get $at))

    ;; Appends one byte to the summary; what does not fit is left out.
    (func $put (param $byte i32)
      (if (i32.lt_u (global.get $out) (global.get $end))
        (then
          (i32.store8 (global.get $out) (local.get $byte))
          (global.set $out (i32.add (global.get $out) (i32.const 1))))))

    ;; Appends a number in decimal: first all digits but the last, then the last.
    (func $put-number (param $number i64)
      (if (i64.ge_u (local.get $number) (i64.const 10))
        (then (call $put-number (i64.div_u (local.get $number) (i64.const 10)))))
      (call $put (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))  ;; 48 is "0"

    ;; What the host calls. A string is two numbers here, its address and its length; an optional one is three.
    (func (export "run")
      (param $job i32) (param $job-length i32)
      (param $agent i32) (param $agent-length i32)
      (param $round i64) (param $attempt i32)
      (param $due-ms i64) (param $deadline-ms i64)
      (param $has-previous i32) (param $previous i32) (param $previous-length i32)
      (result i32)
      (local $in i32) (local $byte i32) (local $timer i32)

      ;; The work.
      (local.set $timer (call $timer (global.get $work)))
      (call $block (local.get $timer))
      (call $drop (local.get $timer))

      ;; The summary.
      (local.set $in (global.get $message))
      (global.set $out (global.get $summary))
      (block $done
        (loop $next
          (local.set $byte (i32.load8_u (local.get $in)))
          (br_if $done (i32.eqz (local.get $byte)))
          (if (i32.eq (local.get $byte) (i32.const 37))                                                  ;; 37 is "%"
            (then (call $put-number (local.get $round)))
            (else (call $put (local.get $byte))))
          (local.set $in (i32.add (local.get $in) (i32.const 1)))
          (br $next)))

      ;; The result: 0 for ok, then the summary's address and length.
      (i32.store8 (global.get $result) (i32.const 0))
      (i32.store offset=4 (global.get $result) (global.get $summary))
      (i32.store offset=8 (global.get $result) (i32.sub (global.get $out) (global.get $summary)))
      (global.get $result)))

  ;; The rest says what the world `soloist:job/job` is, for the component around the module: see wit/job.wit.
  (import "soloist:job/types@0.1.0" (instance $types
    (type $context (record
      (field "job" string)
      (field "agent" string)
      (field "round" u64)
      (field "attempt" u32)
      (field "due-ms" u64)
      (field "deadline-ms" u64)
      (field "previous" (option string))))
    (export "context" (type (eq $context)))
    (type $failure (variant (case "retry" string) (case "final" string)))
    (export "failure" (type (eq $failure)))))
  (alias export $types "context" (type $context))
  (alias export $types "failure" (type $failure))
  (core instance $instance (instantiate $job
    (with "host" (instance
      (export "timer" (func $timer))
      (export "block" (func $block))
      (export "drop" (func $drop))))))
  (func (export "run") (param "context" $context) (result (result string (error $failure)))
    (canon lift
      (core func $instance "run")
      (memory (core memory $instance "memory"))
      (realloc (core func $instance "cabi_realloc")))))
