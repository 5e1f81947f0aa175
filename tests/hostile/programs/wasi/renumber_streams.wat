;; Puts a directory in the place of stdout and writes to it.
;; ends: program
;; says: status (8|31)
;; grant: read
(module {{ wasi("proc_exit", "fd_renumber", "fd_write") }} (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $fd_renumber (i32.const 3) (i32.const 1)))
    (call $proc_exit (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
