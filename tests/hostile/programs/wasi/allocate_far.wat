;; Makes a file of eight exabytes.
;; ends: program
;; says: status (28|51)
;; grant: write
(module {{ wasi("proc_exit", "path_open", "fd_filestat_set_size") }} (memory (export "memory") 1) (data (i32.const 4096) "new")
  (func (export "_start")
    (drop {{ open("new", oflags=1, rights=4194370) }})
    (call $proc_exit (call $fd_filestat_set_size (i32.load (i32.const 0)) (i64.const 9223372036854775807)))))
