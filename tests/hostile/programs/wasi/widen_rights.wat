;; Asks for more rights than the descriptor has.
;; ends: program
;; says: status (76)
;; grant: read
(module {{ wasi("proc_exit", "fd_fdstat_set_rights", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "a.txt")
  (func (export "_start")
    (drop {{ open("a.txt") }})
    (call $proc_exit (call $fd_fdstat_set_rights (i32.load (i32.const 0)) (i64.const -1) (i64.const -1)))))
