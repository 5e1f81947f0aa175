;; Reads one directory over and over.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
;; grant: read
(module {{ wasi("fd_readdir") }} (memory (export "memory") 1)
  (func (export "_start")
    (loop (drop (call $fd_readdir (i32.const 3) (i32.const 64) (i32.const 60000) (i64.const 0) (i32.const 8))) (br 0))))
