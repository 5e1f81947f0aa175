;; Kills its own process.
;; ends: program
;; says: status (134)
;; grant: none
(module {{ wasi("proc_exit", "proc_raise") }} (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $proc_raise (i32.const 6)))))
