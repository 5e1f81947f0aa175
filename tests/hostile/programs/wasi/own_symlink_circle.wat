;; Makes two symbolic links to each other and opens one.
;; ends: program
;; says: status (32)
;; grant: write
(module {{ wasi("proc_exit", "path_symlink", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "m") (data (i32.const 5000) "n")
  (func (export "_start")
    (drop (call $path_symlink (i32.const 5000) (i32.const 1) (i32.const 3) (i32.const 4096) (i32.const 1)))
    (drop (call $path_symlink (i32.const 4096) (i32.const 1) (i32.const 3) (i32.const 5000) (i32.const 1)))
    (call $proc_exit {{ open("m") }})))
