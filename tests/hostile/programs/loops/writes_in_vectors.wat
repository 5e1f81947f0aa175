;; Writes through the largest number of vectors, each empty, for ever.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
(module {{ wasi("fd_write") }} (memory (export "memory") 2)
  (func (export "_start")
    (loop (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1024) (i32.const 8))) (br 0))))
