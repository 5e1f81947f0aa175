;; Writes nothing to stdout for ever, so that no output limit is reached.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
(module {{ wasi("fd_write") }} (memory (export "memory") 1)
  (func (export "_start")
    (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))
