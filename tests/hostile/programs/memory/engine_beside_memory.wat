;; Fills its own memory, then lets the Python engine fill another one.
;; ends: refused
;; says: memory is not limited
(module (import "metier:python" "run" (func $run (param i32 i32))) (memory (export "memory") 1000)
  (data (i32.const 0) {{ bytecode("def run(input): return len(bytearray(50_000_000))") }})
  (func (export "_start")
    (memory.fill (i32.const 100000) (i32.const 1) (i32.const 65000000))
    (call $run (i32.const 0) (i32.const 200))))
