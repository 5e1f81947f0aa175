;; Opens a symbolic link of the host that leads out.
;; ends: program
;; says: status (44|32|63)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "link.txt")
  (func (export "_start")
    (call $proc_exit {{ open("link.txt") }})))
