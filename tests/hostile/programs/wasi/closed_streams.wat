;; Closes all that it was given and goes on.
;; ends: contract|program
;; grant: write
(module {{ wasi("fd_close", "fd_write") }} (memory (export "memory") 1)
  (func (export "_start") (local i32)
    (loop (drop (call $fd_close (local.get 0)))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
