;; Opens a device file.
;; ends: program
;; says: status (44)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "device")
  (func (export "_start")
    (call $proc_exit {{ open("device") }})))
