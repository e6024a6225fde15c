;; Connects to 127.0.0.1 at port 4660 by `wasi:sockets`. A success says so; else a final failure says the error code, as a letter
;; from `A`: `B` is `access-denied`, `U` is `permanent-resolver-failure`. The same for looking up `localhost`, as the second letter.
(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $code-type (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $code-type)))
    (type $family-type (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $family-type)))
    (type $v4-type (tuple u8 u8 u8 u8))
    (export "ipv4-address" (type $v4 (eq $v4-type)))
    (type $v6-type (tuple u16 u16 u16 u16 u16 u16 u16 u16))
    (export "ipv6-address" (type $v6 (eq $v6-type)))
    (type $s4-type (record (field "port" u16) (field "address" $v4)))
    (export "ipv4-socket-address" (type $s4 (eq $s4-type)))
    (type $s6-type (record (field "port" u16) (field "flow-info" u32) (field "address" $v6) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $s6 (eq $s6-type)))
    (type $address-type (variant (case "ipv4" $s4) (case "ipv6" $s6)))
    (export "ip-socket-address" (type (eq $address-type)))))
  (alias export $network "network" (type $net))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (alias export $network "ip-socket-address" (type $address))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance
    (export "network" (type $n (eq $net)))
    (export "instance-network" (func (result (own $n))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (export "network" (type $n (eq $net)))
    (export "error-code" (type $c (eq $code)))
    (export "ip-socket-address" (type $a (eq $address)))
    (export "tcp-socket" (type $socket (sub resource)))
    (export "[method]tcp-socket.start-connect" (func (param "self" (borrow $socket)) (param "network" (borrow $n))
      (param "remote-address" $a) (result (result (error $c)))))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (export "error-code" (type $c (eq $code)))
    (export "ip-address-family" (type $f (eq $family)))
    (export "tcp-socket" (type $s (eq $tcp-socket)))
    (export "create-tcp-socket" (func (param "address-family" $f) (result (result (own $s) (error $c)))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (export "network" (type $n (eq $net)))
    (export "error-code" (type $c (eq $code)))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $n)) (param "name" string)
      (result (result (own $stream) (error $c)))))))

  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $network-of (canon lower (func $instance "instance-network")))
  (core func $create-tcp (canon lower (func $create "create-tcp-socket") (memory (core memory $libc "memory"))))
  (core func $connect (canon lower (func $tcp "[method]tcp-socket.start-connect") (memory (core memory $libc "memory"))))
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory (core memory $libc "memory"))))

  (core module $job
    (import "libc" "memory" (memory 1))
    (import "host" "network" (func $network (result i32)))
    (import "host" "create" (func $create (param i32 i32)))
    (import "host" "connect" (func $connect (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (data (i32.const 512) "localhost")
    (data (i32.const 528) "succeeded")
    (func (export "run") (param i32 i32 i32 i32 i64 i32 i64 i64 i32 i32 i32) (result i32)
      (local $network i32)
      (local.set $network (call $network))
      ;; result<own<tcp-socket>, error-code> at 32: a tag, from 36 the handle or the code.
      (call $create (i32.const 0) (i32.const 32))
      ;; result<_, error-code> at 48: a tag, at 49 the code.
      (if (i32.load8_u (i32.const 32))
        (then
          (i32.store8 (i32.const 48) (i32.const 1))
          (i32.store8 (i32.const 49) (i32.load8_u (i32.const 36))))
        (else
          (call $connect (i32.load (i32.const 36)) (local.get $network) (i32.const 0) (i32.const 4660)
            (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 48))))
      ;; result<own<stream>, error-code> at 56: a tag, from 60 the code.
      (call $resolve (local.get $network) (i32.const 512) (i32.const 9) (i32.const 56))
      (i32.store8 (i32.const 544) (i32.add (i32.const 65) (i32.load8_u (i32.const 49))))
      (i32.store8 (i32.const 545) (i32.add (i32.const 65) (i32.load8_u (i32.const 60))))
      (if (i32.and (i32.load8_u (i32.const 48)) (i32.load8_u (i32.const 56)))
        (then
          (i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 1))
          (i32.store (i32.const 24) (i32.const 544)) (i32.store (i32.const 28) (i32.const 2)))
        (else
          (i32.store8 (i32.const 16) (i32.const 0))
          (i32.store (i32.const 20) (i32.const 528)) (i32.store (i32.const 24) (i32.const 9))))
      (i32.const 16)))
  (core instance $job (instantiate $job
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "network" (func $network-of)) (export "create" (func $create-tcp))
      (export "connect" (func $connect)) (export "resolve" (func $resolve))))))
  (type $context-type (record
    (field "job" string) (field "agent" string) (field "round" u64) (field "attempt" u32) (field "due-ms" u64)
    (field "deadline-ms" u64) (field "previous" (option string))))
  (export $context "context" (type $context-type))
  (type $failure-type (variant (case "retry" string) (case "final" string)))
  (export $failure "failure" (type $failure-type))
  (func $run (param "context" $context) (result (result string (error $failure)))
    (canon lift (core func $job "run") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (export "run" (func $run)))
