;; Follows a symbolic link to itself.
;; ends: program
;; says: status (44|32)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "circle")
  (func (export "_start")
    (call $proc_exit {{ open("circle") }})))
