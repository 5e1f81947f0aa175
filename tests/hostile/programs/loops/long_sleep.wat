;; Sleeps for three hundred years, again and again, to block a thread of the host.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
(module {{ wasi("poll_oneoff") }} (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const -1))
    (loop (drop (call $poll_oneoff (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256))) (br 0))))
