;; Recurses with a host call in every frame.
;; ends: stack
(module {{ wasi("sched_yield") }} (memory (export "memory") 1)
  (func $f (drop (call $sched_yield)) (call $f) (drop (call $sched_yield)))
  (func (export "_start") (call $f)))
