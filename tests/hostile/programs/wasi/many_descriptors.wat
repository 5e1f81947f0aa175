;; Opens files until there are no more descriptors.
;; ends: program
;; says: status (33)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "a.txt")
  (func (export "_start")
    (local i32)
    (loop (local.set 0 {{ open("a.txt") }}) (br_if 0 (i32.eqz (local.get 0))))
    (call $proc_exit (local.get 0))))
