;; Grows a table until that fails.
;; ends: program
;; says: status 9
(module {{ wasi("proc_exit") }} (table $t 1 externref) (memory (export "memory") 1)
  (func (export "_start")
    (loop (br_if 0 (i32.ne (table.grow $t (ref.null extern) (i32.const 10000)) (i32.const -1))))
    (call $proc_exit (i32.const 9))))
