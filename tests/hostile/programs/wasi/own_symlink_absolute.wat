;; Makes a symbolic link to an absolute path.
;; ends: program
;; says: status (63|76|28)
;; grant: write
(module {{ wasi("proc_exit", "path_symlink") }} (memory (export "memory") 1) (data (i32.const 4096) "mine") (data (i32.const 5000) "/etc/passwd")
  (func (export "_start")
    (call $proc_exit (call $path_symlink (i32.const 5000) (i32.const 11) (i32.const 3) (i32.const 4096) (i32.const 4)))))
