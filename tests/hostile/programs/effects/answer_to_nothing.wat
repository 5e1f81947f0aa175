;; Fetches an answer without having asked, and prints what it finds.
;; ends: contract
;; says: empty
(module {{ metier() }} {{ wasi("fd_write") }} (memory (export "memory") 1)
  (func (export "_start") (call $read (i32.const 64))
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.load (i32.const 64)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
