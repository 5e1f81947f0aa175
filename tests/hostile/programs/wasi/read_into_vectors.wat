;; Reads its input over the vectors that say where to read to.
;; ends: contract|output
(module {{ wasi("fd_read", "fd_write") }} (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const -1))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 4)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 0)))))
