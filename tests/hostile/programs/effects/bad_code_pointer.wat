;; Hands the Python engine code that lies beyond its memory.
;; ends: trap
(module (import "metier:python" "run" (func $run (param i32 i32))) (memory (export "memory") 1 1)
  (func (export "_start") (call $run (i32.const 65000) (i32.const 70000))))
