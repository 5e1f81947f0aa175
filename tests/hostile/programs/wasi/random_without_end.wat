;; Asks for 2^32-1 random bytes.
;; ends: program
;; says: status (28|21)
;; grant: none
(module {{ wasi("proc_exit", "random_get") }} (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit (call $random_get (i32.const 0) (i32.const -1)))))
