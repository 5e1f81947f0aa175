;; Makes a second name for a hard link to a file outside.
;; ends: program
;; says: status (44)
;; grant: write
(module {{ wasi("proc_exit", "path_link") }} (memory (export "memory") 1) (data (i32.const 4096) "hard.txt") (data (i32.const 5000) "mine")
  (func (export "_start")
    (call $proc_exit (call $path_link (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 8) (i32.const 3) (i32.const 5000) (i32.const 4)))))
