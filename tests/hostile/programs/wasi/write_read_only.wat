;; Opens a file for writing that it may only read.
;; ends: program
;; says: status (2|63|76)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "a.txt")
  (func (export "_start")
    (call $proc_exit {{ open("a.txt", rights=66) }})))
