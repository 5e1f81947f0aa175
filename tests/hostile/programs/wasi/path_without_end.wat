;; Opens a path of 2^32-1 bytes.
;; ends: program
;; says: status (37|21)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit (call $path_open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 8)))))
