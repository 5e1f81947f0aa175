;; Asks for what it will not get with a megabyte each time, all of which the record keeps.
;; ends: effects
;; says: more than \d+ bytes together
(module
  {{ metier() }}
  (memory (export "memory") 17)
  (data (i32.const 0) {{ text('{"op":"http.request","x":"') }})
  (func (export "_start")
    (memory.fill (i32.const 26) (i32.const 97) (i32.const 1000000))
    (i32.store16 (i32.const 1000026) (i32.const 0x7d22))
    (loop
      (drop (call $call (i32.const 0) (i32.const 1000028)))
      (br 0))))
