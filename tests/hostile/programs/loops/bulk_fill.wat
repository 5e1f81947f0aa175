;; Fills all of its memory again and again, one instruction each.
;; ends: time|fuel
;; limits: seconds=0.2 fuel=10**17
(module (memory (export "memory") 1000)
  (func (export "_start") (loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536000)) (br 0))))
