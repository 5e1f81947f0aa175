;; Opens a path below a file.
;; ends: program
;; says: status (54|8)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "a.txt/x")
  (func (export "_start")
    (call $proc_exit {{ open("a.txt/x") }})))
