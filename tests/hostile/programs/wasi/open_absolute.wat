;; Opens an absolute path.
;; ends: program
;; says: status (63|76|44)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "/etc/passwd")
  (func (export "_start")
    (call $proc_exit {{ open("/etc/passwd") }})))
