;; Opens a file beside the root with dots.
;; ends: program
;; says: status (63|76|44)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "../../canary/secret.txt")
  (func (export "_start")
    (call $proc_exit {{ open("../../canary/secret.txt") }})))
