;; Polls 2^32-1 subscriptions.
;; ends: program
;; says: status (28|21)
;; grant: none
(module {{ wasi("proc_exit", "poll_oneoff") }} (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 8)))))
