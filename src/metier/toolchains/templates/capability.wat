;; {"n": 21} → {"twice": 42}: the digits after the first colon, doubled; no digits is an error.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)

  ;; 0: one iovec (address, length); 8: how many bytes were moved; 16: output, written backwards from 64; 4096: input
  (data (i32.const 128) "{\"twice\": ")
  (data (i32.const 160) "{\"error\": \"n must be a whole number, not negative\", \"kind\": \"invalid_input\"}")

  (func $write (param $stream i32) (param $address i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $stream) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func $fail
    (call $write (i32.const 2) (i32.const 160) (i32.const 76))
    (call $proc_exit (i32.const 1)))

  ;; the number after the first colon, with blanks between
  (func $number (result i64)
    (local $at i32) (local $byte i32) (local $value i64) (local $digits i32)
    (local.set $at (i32.const 4096))
    (block $colon (loop $next
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.eqz (local.get $byte)) (then (call $fail)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $colon (i32.eq (local.get $byte) (i32.const 58)))
      (br $next)))
    (loop $blank
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 32))
        (then (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $blank))))
    (block $end (loop $digit
      (local.set $byte (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (br_if $end (i32.gt_u (local.get $byte) (i32.const 9)))
      (local.set $value (i64.add (i64.mul (local.get $value) (i64.const 10)) (i64.extend_i32_u (local.get $byte))))
      (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $digit)))
    (if (i32.eqz (local.get $digits)) (then (call $fail)))
    (local.get $value))

  (func (export "_start") (local $value i64) (local $at i32)
    (i32.store (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 4) (i32.const 65536))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $value (i64.mul (call $number) (i64.const 2)))
    (local.set $at (i32.const 64))
    (i32.store8 (local.get $at) (i32.const 125))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $value) (i64.const 0))))
    (call $write (i32.const 1) (i32.const 128) (i32.const 10))
    (call $write (i32.const 1) (local.get $at) (i32.sub (i32.const 65) (local.get $at)))))
