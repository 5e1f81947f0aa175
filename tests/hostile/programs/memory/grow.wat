;; Grows its memory until that fails, touches all of it, and aborts.
;; ends: memory
(module (memory (export "memory") 1) {{ wasi("sched_yield") if false }}
  (func (export "_start")
    (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536)))
    (unreachable)))
