;; Opens a hard link to a file outside.
;; ends: program
;; says: status (44)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "hard.txt")
  (func (export "_start")
    (call $proc_exit {{ open("hard.txt") }})))
