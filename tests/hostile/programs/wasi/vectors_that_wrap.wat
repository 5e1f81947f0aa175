;; Writes vectors whose address and length add up to a small number.
;; ends: program
;; says: status (21)
;; grant: none
(module {{ wasi("proc_exit", "fd_write") }} (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const -16)) (i32.store (i32.const 4) (i32.const 32))
    (call $proc_exit (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
