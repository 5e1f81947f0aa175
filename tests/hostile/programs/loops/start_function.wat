;; Loops in the start function, before _start is ever called.
;; ends: fuel
(module (memory (export "memory") 1) (func $s (loop (br 0))) (start $s) (func (export "_start")))
