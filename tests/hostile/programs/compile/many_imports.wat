;; Imports the same function ten thousand times.
;; ends: refused
;; says: imports
(module {{ '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))' * 10000 }}
  (memory (export "memory") 1) (func (export "_start")))
