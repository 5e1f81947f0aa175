;; Hands the Python engine bytes that are no code.
;; ends: program|trap|memory
(module (import "metier:python" "run" (func $run (param i32 i32))) (memory (export "memory") 1 1)
  (data (i32.const 0) "\e3\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff")
  (func (export "_start") (call $run (i32.const 0) (i32.const 20))))
