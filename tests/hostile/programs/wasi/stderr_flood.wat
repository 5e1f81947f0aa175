;; Floods stderr.
;; ends: output
(module {{ wasi("fd_write") }} (memory (export "memory") 1)
  (func (export "_start") (i32.store (i32.const 4) (i32.const 65000))
    (loop (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))
