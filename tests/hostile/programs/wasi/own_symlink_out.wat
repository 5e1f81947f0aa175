;; Makes a symbolic link that leads out and follows it.
;; ends: program
;; says: status (63|76|44)
;; grant: write
(module {{ wasi("proc_exit", "path_symlink", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "mine") (data (i32.const 5000) "../../canary/secret.txt")
  (func (export "_start")
    (drop (call $path_symlink (i32.const 5000) (i32.const 23) (i32.const 3) (i32.const 4096) (i32.const 4)))
    (call $proc_exit {{ open("mine") }})))
