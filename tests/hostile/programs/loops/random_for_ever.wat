;; Draws a mebibyte of random bytes again and again, each a single host call.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
(module {{ wasi("random_get") }} (memory (export "memory") 17)
  (func (export "_start") (loop (drop (call $random_get (i32.const 0) (i32.const 1048576))) (br 0))))
