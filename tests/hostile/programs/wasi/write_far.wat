;; Writes one byte at the end of the largest file there could be.
;; ends: program
;; says: status (28|51)
;; grant: write
(module {{ wasi("proc_exit", "path_open", "fd_pwrite") }} (memory (export "memory") 1) (data (i32.const 4096) "new")
  (func (export "_start")
    (drop {{ open("new", oflags=1, rights=70) }})
    (i32.store (i32.const 64) (i32.const 4096)) (i32.store (i32.const 68) (i32.const 1))
    (call $proc_exit (call $fd_pwrite (i32.load (i32.const 0)) (i32.const 64) (i32.const 1) (i64.const 9223372036854775807) (i32.const 8)))))
