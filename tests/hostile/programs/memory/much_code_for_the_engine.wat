;; Hands the Python engine far more code than its module has, each byte of which becomes two in the host.
;; ends: memory
;; says: bytes of code to its engine
(module
  (import "metier:python" "run" (func $run (param i32 i32)))
  (memory (export "memory") 128 128)
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 255) (i32.const 8000000))
    (call $run (i32.const 0) (i32.const 8000000))))
