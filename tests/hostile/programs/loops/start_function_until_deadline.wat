;; Loops in the start function until the deadline.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
(module (memory (export "memory") 1) (func $s (loop (br 0))) (start $s) (func (export "_start")))
