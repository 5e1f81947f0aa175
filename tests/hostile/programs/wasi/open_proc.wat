;; Opens its own process through a link to /proc.
;; ends: program
;; says: status (44|32|54)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "self/environ")
  (func (export "_start")
    (call $proc_exit {{ open("self/environ") }})))
