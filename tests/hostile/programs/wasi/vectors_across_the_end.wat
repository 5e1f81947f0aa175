;; Has vectors that lie half beyond the memory.
;; ends: program
;; says: status (21)
;; grant: none
(module {{ wasi("proc_exit", "fd_write") }} (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit (call $fd_write (i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 8)))))
