;; Starts the Python engine a thousand times in one run; each start is a memory of its own.
;; ends: trap
;; says: second time
{% set code = bytecode("def run(input): return 1") %}
(module (import "metier:python" "run" (func $run (param i32 i32))) (memory (export "memory") 1 1)
  (data (i32.const 0) {{ code }})
  (func (export "_start") (local i32)
    (loop (call $run (i32.const 0) (i32.const {{ (code | length - 2) // 3 }}))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))))
