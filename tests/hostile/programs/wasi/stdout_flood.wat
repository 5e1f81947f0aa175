;; Floods stdout through many vectors over the same bytes.
;; ends: output
(module {{ wasi("fd_write") }} (memory (export "memory") 2)
  (func (export "_start") (local i32)
    (loop (i32.store (i32.add (i32.const 4) (i32.shl (local.get 0) (i32.const 3))) (i32.const 65536))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1024))))
    (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 70000))) (br 0))))
