;; No JSON parser: keys are searched for as text, in files whose layout is known.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 16)

  ;; 0: one iovec; 8: a count or a descriptor; 16: output; texts below; 4096: pattern; 8192: input; 65536 on: files
  (data (i32.const 1024) "employees.json")
  (data (i32.const 1056) "salaries.json")
  (data (i32.const 1088) "exchange_rates.json")
  (data (i32.const 1120) "\"name\": \"")
  (data (i32.const 1152) "\"currency\": \"")
  (data (i32.const 1184) "\"id\": \"")
  (data (i32.const 1216) "\"employee_id\": \"")
  (data (i32.const 1248) "\"salary\": ")
  (data (i32.const 1280) "\": ")
  (data (i32.const 1312) "{\"error\": \"no such employee\", \"kind\": \"not_found\"}")
  (data (i32.const 1376) "{\"error\": \"no rate for it\", \"kind\": \"unknown_currency\"}")
  (data (i32.const 1440) "{\"name\": \"")
  (data (i32.const 1472) "\", \"salary\": ")
  (data (i32.const 1504) ", \"currency\": \"")
  (data (i32.const 1536) "\"}")

  (func $write (param $stream i32) (param $address i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $stream) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func $fail (param $address i32) (param $length i32)
    (call $write (i32.const 2) (local.get $address) (local.get $length))
    (call $proc_exit (i32.const 1)))

  ;; reads a stream to its end; returns where the text ends
  (func $read (param $stream i32) (param $at i32) (result i32)
    (loop $more
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (i32.const 32768))
      (drop (call $fd_read (local.get $stream) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (br_if $more (i32.load (i32.const 8))))
    (local.get $at))

  (func $file (param $path i32) (param $length i32) (param $at i32) (result i32)
    (drop (call $path_open (i32.const 3) (i32.const 0) (local.get $path) (local.get $length) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12)))  ;; the right to read
    (call $read (i32.load (i32.const 12)) (local.get $at)))

  (func $equal (param $a i32) (param $b i32) (param $length i32) (result i32)
    (block $differ
      (loop $next
        (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
        (br_if $differ (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))))
        (local.set $a (i32.add (local.get $a) (i32.const 1)))
        (local.set $b (i32.add (local.get $b) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; where the text after the first occurrence of a pattern begins; 0 where there is none before $end
  (func $after (param $at i32) (param $end i32) (param $pattern i32) (param $length i32) (result i32)
    (loop $next
      (if (i32.gt_u (i32.add (local.get $at) (local.get $length)) (local.get $end)) (then (return (i32.const 0))))
      (if (call $equal (local.get $at) (local.get $pattern) (local.get $length))
        (then (return (i32.add (local.get $at) (local.get $length)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; how many bytes there are before the next quotation mark
  (func $size (param $at i32) (result i32) (local $start i32)
    (local.set $start (local.get $at))
    (loop $next
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 34))
        (then (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next))))
    (i32.sub (local.get $at) (local.get $start)))

  ;; a key and a value as one pattern at 4096: `"name": "` `John Smith` `"`; returns its length
  (func $pattern (param $key i32) (param $keys i32) (param $value i32) (param $values i32) (result i32)
    (memory.copy (i32.const 4096) (local.get $key) (local.get $keys))
    (memory.copy (i32.add (i32.const 4096) (local.get $keys)) (local.get $value) (local.get $values))
    (i32.store8 (i32.add (i32.add (i32.const 4096) (local.get $keys)) (local.get $values)) (i32.const 34))
    (i32.add (i32.add (local.get $keys) (local.get $values)) (i32.const 1)))

  (func $number (param $at i32) (result f64) (local $value f64) (local $scale f64) (local $byte i32)
    (local.set $scale (f64.const 0))
    (block $end
      (loop $next
        (local.set $byte (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.eq (local.get $byte) (i32.const 46))
          (then (local.set $scale (f64.const 1)) (br $next)))
        (br_if $end (i32.gt_u (i32.sub (local.get $byte) (i32.const 48)) (i32.const 9)))
        (local.set $value (f64.add (f64.mul (local.get $value) (f64.const 10))
          (f64.convert_i32_u (i32.sub (local.get $byte) (i32.const 48)))))
        (local.set $scale (f64.mul (local.get $scale) (f64.const 10)))
        (br $next)))
    (if (result f64) (f64.eq (local.get $scale) (f64.const 0))
      (then (local.get $value))
      (else (f64.div (local.get $value) (local.get $scale)))))

  ;; the rate of a currency in the third file
  (func $rate (param $currency i32) (param $length i32) (param $end i32) (result f64) (local $at i32)
    (i32.store8 (i32.const 4096) (i32.const 34))
    (memory.copy (i32.const 4097) (local.get $currency) (local.get $length))
    (memory.copy (i32.add (i32.const 4097) (local.get $length)) (i32.const 1280) (i32.const 3))
    (local.set $at (call $after (i32.const 589824) (local.get $end) (i32.const 4096)
      (i32.add (local.get $length) (i32.const 4))))
    (if (i32.eqz (local.get $at)) (then (call $fail (i32.const 1376) (i32.const 55))))
    (call $number (local.get $at)))

  ;; a number of hundredths as decimal text, on stdout
  (func $print (param $value i64) (local $at i32) (local $digits i32)
    (local.set $at (i32.const 128))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (if (i32.eq (local.get $digits) (i32.const 2))
        (then (i32.store8 (local.get $at) (i32.const 46)) (local.set $at (i32.sub (local.get $at) (i32.const 1)))))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
      (br_if $digit (i32.or (i64.ne (local.get $value) (i64.const 0)) (i32.lt_u (local.get $digits) (i32.const 3)))))
    (call $write (i32.const 1) (local.get $at) (i32.sub (i32.const 128) (local.get $at))))

  (func (export "_start")
    (local $end i32) (local $name i32) (local $names i32) (local $currency i32) (local $currencies i32)
    (local $at i32) (local $person i32) (local $id i32) (local $length i32) (local $salary f64)
    (local.set $end (call $read (i32.const 0) (i32.const 8192)))
    (local.set $name (call $value (local.get $end) (i32.const 1120) (i32.const 6)))
    (local.set $names (call $size (local.get $name)))
    (local.set $currency (call $value (local.get $end) (i32.const 1152) (i32.const 10)))
    (local.set $currencies (call $size (local.get $currency)))

    (local.set $end (call $file (i32.const 1024) (i32.const 14) (i32.const 65536)))
    (local.set $length (call $pattern (i32.const 1120) (i32.const 9) (local.get $name) (local.get $names)))
    (local.set $person (call $after (i32.const 65536) (local.get $end) (i32.const 4096) (local.get $length)))
    (if (i32.eqz (local.get $person)) (then (call $fail (i32.const 1312) (i32.const 50))))
    (local.set $at (i32.const 65536))
    (block $found  ;; the last id before the name
      (loop $next
        (local.set $at (call $after (local.get $at) (local.get $person) (i32.const 1184) (i32.const 7)))
        (br_if $found (i32.eqz (local.get $at)))
        (local.set $id (local.get $at))
        (br $next)))

    (local.set $end (call $file (i32.const 1056) (i32.const 13) (i32.const 327680)))
    (local.set $length (call $pattern (i32.const 1216) (i32.const 16) (local.get $id) (call $size (local.get $id))))
    (local.set $at (call $after (i32.const 327680) (local.get $end) (i32.const 4096) (local.get $length)))
    (local.set $salary (call $number (call $after (local.get $at) (local.get $end) (i32.const 1248) (i32.const 10))))
    (local.set $at (call $after (local.get $at) (local.get $end) (i32.const 1152) (i32.const 13)))

    (local.set $end (call $file (i32.const 1088) (i32.const 19) (i32.const 589824)))
    (local.set $salary (f64.div (local.get $salary) (call $rate (local.get $at) (call $size (local.get $at)) (local.get $end))))
    (local.set $salary (f64.mul (local.get $salary) (call $rate (local.get $currency) (local.get $currencies) (local.get $end))))

    (call $write (i32.const 1) (i32.const 1440) (i32.const 10))
    (call $write (i32.const 1) (local.get $name) (local.get $names))
    (call $write (i32.const 1) (i32.const 1472) (i32.const 13))
    (call $print (i64.trunc_f64_u (f64.nearest (f64.mul (local.get $salary) (f64.const 100)))))
    (call $write (i32.const 1) (i32.const 1504) (i32.const 15))
    (call $write (i32.const 1) (local.get $currency) (local.get $currencies))
    (call $write (i32.const 1) (i32.const 1536) (i32.const 2)))

  ;; in the input: what begins after a key, a colon, blanks and a quotation mark
  (func $value (param $end i32) (param $key i32) (param $length i32) (result i32) (local $at i32)
    (local.set $at (call $after (i32.const 8192) (local.get $end) (local.get $key) (local.get $length)))
    (loop $next
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.ne (i32.load8_u (local.get $at)) (i32.const 34))))
    (i32.add (local.get $at) (i32.const 1))))
