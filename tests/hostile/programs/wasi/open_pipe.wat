;; Opens a named pipe, which would block whoever opens it.
;; ends: program
;; says: status (44)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "pipe")
  (func (export "_start")
    (call $proc_exit {{ open("pipe") }})))
