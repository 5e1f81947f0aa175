;; Empties a file that it may only read, by opening it.
;; ends: program
;; says: status (2|63|76)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "a.txt")
  (func (export "_start")
    (call $proc_exit {{ open("a.txt", oflags=8) }})))
