;; Goes down into a folder and up more often than down.
;; ends: program
;; says: status (63|76|44)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "sub/../../../canary/secret.txt")
  (func (export "_start")
    (call $proc_exit {{ open("sub/../../../canary/secret.txt") }})))
