;; Accepts a connection on a descriptor.
;; ends: program
;; says: status (57|8)
;; grant: read
(module {{ wasi("proc_exit", "sock_accept") }} (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit (call $sock_accept (i32.const 3) (i32.const 0) (i32.const 8)))))
